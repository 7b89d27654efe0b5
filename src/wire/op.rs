//! What can be asked for: one table, from which routes, rows, metrics and the capability matrix take their names.

/// What the caller wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Chat completions, streamed or whole.
    Chat,
    /// Legacy text completions, streamed or whole.
    Complete,
    /// Embeddings.
    Embed,
    /// An answer of the Responses API.
    Respond,
    /// Images from a text.
    Image,
    /// Images from images and a text.
    ImageEdit,
    /// Images like an image.
    ImageVariation,
    /// Speech from a text.
    Speech,
    /// The text of speech, in its own language.
    Transcribe,
    /// The text of speech, in English.
    Translate,
    /// Documents in the order of their relevance.
    Rerank,
    /// What is objectionable about a text or an image.
    Moderate,
    /// Answers of the Responses API that the provider keeps: all but making one.
    Stored,
    /// Files that the provider keeps.
    File,
    /// Batches of requests that the provider works off later.
    Batch,
    /// A conversation over a WebSocket, in the events of OpenAI's Realtime API.
    Realtime,
    /// Any other path, passed on as it is.
    Pass,
}

/// How requests for an operation look, and by what they find their target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `POST` of a JSON object that names its model.
    Json,
    /// `POST` of a form (`multipart/form-data`) that names its model.
    Form,
    /// Any method at the path and below it: to the one target that the configuration names.
    Kept,
    /// Any method below the path: to the one target that the configuration names.
    Below,
    /// A WebSocket at the path and below it: to the target that the request names, or by the model in its query. Requests
    /// there that ask for none are passed on as any other.
    Socket,
    /// Any method at any path that nothing else has: to the target that the request names, or by the model in its body.
    Rest,
}

/// One operation, as the API knows it.
#[derive(Clone, Copy, Debug)]
pub struct Surface {
    /// The operation.
    pub op: Op,
    /// Its name in metrics, logs and capability tables.
    pub name: &'static str,
    /// Its path below `/v1`, and below the root of a provider that speaks OpenAI's dialect.
    pub path: &'static str,
    /// How requests for it look.
    pub shape: Shape,
}

const fn surface(op: Op, name: &'static str, path: &'static str, shape: Shape) -> Surface {
    Surface { op, name, path, shape }
}

/// All operations, in the order of [`Op`].
pub static SURFACES: [Surface; 17] = [
    surface(Op::Chat, "chat", "/chat/completions", Shape::Json),
    surface(Op::Complete, "completions", "/completions", Shape::Json),
    surface(Op::Embed, "embeddings", "/embeddings", Shape::Json),
    surface(Op::Respond, "responses", "/responses", Shape::Json),
    surface(Op::Image, "images", "/images/generations", Shape::Json),
    surface(Op::ImageEdit, "image_edits", "/images/edits", Shape::Form),
    surface(Op::ImageVariation, "image_variations", "/images/variations", Shape::Form),
    surface(Op::Speech, "speech", "/audio/speech", Shape::Json),
    surface(Op::Transcribe, "transcriptions", "/audio/transcriptions", Shape::Form),
    surface(Op::Translate, "translations", "/audio/translations", Shape::Form),
    surface(Op::Rerank, "rerank", "/rerank", Shape::Json),
    surface(Op::Moderate, "moderations", "/moderations", Shape::Json),
    surface(Op::Stored, "stored_responses", "/responses", Shape::Below),
    surface(Op::File, "files", "/files", Shape::Kept),
    surface(Op::Batch, "batches", "/batches", Shape::Kept),
    surface(Op::Realtime, "realtime", "/realtime", Shape::Socket),
    surface(Op::Pass, "passthrough", "", Shape::Rest),
];

impl Op {
    /// Its row.
    pub const fn surface(self) -> &'static Surface {
        &SURFACES[self as usize]
    }

    /// The name of the surface in metrics, logs and capability tables.
    pub const fn name(self) -> &'static str {
        self.surface().name
    }

    /// Whether a request is passed on as it is, whatever it says, and so is its answer.
    pub const fn is_passed(self) -> bool {
        matches!(self.surface().shape, Shape::Kept | Shape::Below | Shape::Socket | Shape::Rest)
    }

    /// Whether its answer is images.
    pub const fn draws(self) -> bool {
        matches!(self, Op::Image | Op::ImageEdit | Op::ImageVariation)
    }

    /// The operation at its usual path, as a provider's row lists it.
    pub const fn usual(self) -> (Self, &'static str) {
        (self, self.surface().path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_finds_its_own_row() {
        for (at, surface) in SURFACES.iter().enumerate() {
            assert_eq!(surface.op as usize, at, "{}", surface.name);
            assert_eq!(surface.op.surface().op, surface.op);
        }
    }
}
