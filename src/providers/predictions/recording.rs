//! The recording of a form as an input of a prediction: within it if it is short, else uploaded first.
//! <https://replicate.com/docs/topics/predictions/input-files>

use bytes::Bytes;
use http::Method;

use super::Desk;
use crate::call::{Body, Call, Error, Stored};
use crate::providers::client::Lines;
use crate::providers::encode::{id, refusal};
use crate::providers::{fault, stored};
use crate::wire::Object;
use crate::wire::extras::{base64, recordings};
use crate::wire::multipart::Piece;

/// Longer ones are uploaded, bytes.
const SHORT: u64 = 256 << 10;

impl Desk<'_> {
    /// Where the recording of a call is, if it has one: its address, which may hold it. Fails if there is none in its form,
    /// or if it can't be uploaded.
    pub(super) async fn recording(&self, call: &Call) -> Result<Option<String>, Error> {
        let Body::Upload(upload) = &call.body else { return Ok(None) };
        let Some(form) = &upload.form else { return Ok(None) };
        let found = recordings::recording(form);
        let (part, kind) = found.map_err(|refused| refusal(self.provider.spec, refused))?;
        let place = part.content.clone();
        if let Stored::Memory(bytes) = &upload.stored
            && place.end - place.start <= SHORT
        {
            let content = base64(&bytes[place.start as usize..place.end as usize]);
            return Ok(Some(format!("data:{kind};base64,{content}")));
        }
        let nowhere = || Error::NoTarget(call.model.clone());
        // made of digits and letters that nobody knows before
        let boundary = id();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"recording\"\r\nContent-Type: \
             {kind}\r\n\r\n"
        );
        let pieces =
            [Piece::New(head.into()), Piece::Kept(place), Piece::New(format!("\r\n--{boundary}--\r\n").into())];
        let mut line = self.line.clone();
        line.sends(&format!("multipart/form-data; boundary={boundary}")).ok_or_else(nowhere)?;
        let path = self.place.below("/files").ok_or_else(nowhere)?;
        let (more, body) = (Lines::default(), stored::outgoing(&upload.stored, pieces.into()));
        let uploaded = tokio::time::timeout_at(self.deadline, line.ask(Method::POST, &path, &more, body)).await;
        let said = uploaded.map_err(|_elapsed| self.late())?;
        let said = said.map_err(|error| fault::of_transport(self.provider, &error))?;
        self.judge(&said)?;
        let address = |body: Bytes| Object::parse(body).ok()?.object("urls").ok()??.get("get").ok()?;
        let nonsense = "answered an upload without the address of the file".to_owned();
        let address: Option<String> = address(said.body.clone());
        Ok(Some(address.ok_or_else(|| fault::of_nonsense(self.provider, said.status, &said.fields, nonsense))?))
    }
}
