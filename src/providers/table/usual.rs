//! Operations at the paths where OpenAI has them.

use crate::call::Op;

type Own = (Op, &'static str);

pub(super) const CHAT: Own = Op::Chat.usual();
pub(super) const COMPLETE: Own = Op::Complete.usual();
pub(super) const EMBED: Own = Op::Embed.usual();
pub(super) const RESPOND: Own = Op::Respond.usual();
pub(super) const STORED: Own = Op::Stored.usual();
pub(super) const IMAGE: Own = Op::Image.usual();
pub(super) const IMAGE_EDIT: Own = Op::ImageEdit.usual();
pub(super) const IMAGE_VARIATION: Own = Op::ImageVariation.usual();
pub(super) const SPEECH: Own = Op::Speech.usual();
pub(super) const TRANSCRIBE: Own = Op::Transcribe.usual();
pub(super) const TRANSLATE: Own = Op::Translate.usual();
pub(super) const RERANK: Own = Op::Rerank.usual();
pub(super) const MODERATE: Own = Op::Moderate.usual();
pub(super) const FILE: Own = Op::File.usual();
pub(super) const BATCH: Own = Op::Batch.usual();
pub(super) const REALTIME: Own = Op::Realtime.usual();
pub(super) const PASS: Own = Op::Pass.usual();
