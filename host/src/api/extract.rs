//! Takes requests apart. Every failure is a [`Refusal`] that names what is wrong: none of axum's own texts reach a client.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use http::request::Parts;
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::connection::Peer;
use super::error::Refusal;
use super::state::App;
use super::wire::{FieldProblem, Object};
use crate::job::{FileIndex, JobId};

/// A JSON body, read within the limits of size and time.
#[derive(Debug)]
pub(super) struct Json<T> {
    pub(super) value: T,
    /// The body as it came, by which a repeated request is known again.
    pub(super) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !media_type.is_some_and(is_json) {
            let detail = "the body must be JSON, with the field Content-Type: application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let limits = &app.settings;
        let bytes = read_body(request, limits.body_bytes_max, limits.body_read_timeout).await?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

async fn read_body(request: Request, bytes_max: usize, timeout: Duration) -> Result<Bytes, Refusal> {
    let too_large = || {
        let detail = format!("the body is over the limit of {bytes_max} bytes; add files to a job in several requests");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    // Said before a byte of it is read, where the length is known.
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > bytes_max as u64) {
        return Err(too_large());
    }
    let reading = Limited::new(request.into_body(), bytes_max).collect();
    match tokio::time::timeout(timeout, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "body_unreadable", "the body ended before it was whole"))
        }
        Err(_) => {
            let detail = format!("the body was not there within {} s", timeout.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail))
        }
    }
}

/// Parses a body: no JSON is 400, JSON of another shape is 422 with the field.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let bad_json = |error: &serde_json::Error| {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_json", format!("the body is no JSON: {error}"))
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(Object(value)) => value,
        Err(error) if error.inner().classify() == Category::Data => {
            // The shape is told only of what is JSON as a whole.
            return Err(match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
                Ok(_) => Refusal::fields(vec![field_problem(&error)]),
                Err(error) => bad_json(&error),
            });
        }
        Err(error) => return Err(bad_json(error.inner())),
    };
    deserializer.end().map_err(|error| bad_json(&error))?;
    Ok(value)
}

fn field_problem(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldProblem {
    let detail = without_position(&error.inner().to_string());
    let mut field = pointer(error.path());
    // These two are told of the object around the field.
    let named =
        ["missing field `", "unknown field `"].iter().find_map(|begin| detail.strip_prefix(begin)?.split('`').next());
    if let Some(name) = named
        && field.rsplit('/').next() != Some(&escaped(name))
    {
        field = format!("{field}/{}", escaped(name));
    }
    FieldProblem { field, detail }
}

/// A path as a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escaped(key)),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

/// A name as a token of a JSON Pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Lines and columns mean nothing to who did not write the text by hand.
fn without_position(text: &str) -> String {
    text.rsplit_once(" at line ").map_or(text, |(before, _)| before).to_owned()
}

/// The job that a path names.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobPath(pub(super) JobId);

impl FromRequestParts<App> for JobPath {
    type Rejection = Refusal;

    /// A job that the caller does not see is none: whatever names one in a path comes through here, or through [`FilePath`].
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let Path(id) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| Refusal::no_job_id())?;
        let job = job_id(&id).ok_or_else(Refusal::no_job_id)?;
        app.check_sight(&Peer::from_request_parts(parts, app).await?, job).await?;
        Ok(Self(job))
    }
}

/// The file of a job that a path names.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilePath(pub(super) JobId, pub(super) FileIndex);

impl FromRequestParts<App> for FilePath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let Path((id, index)) = path.map_err(|_| Refusal::no_job_id())?;
        let job = job_id(&id).ok_or_else(Refusal::no_job_id)?;
        app.check_sight(&Peer::from_request_parts(parts, app).await?, job).await?;
        let no_file = |_| Refusal::no_file(format!("job {job} has no such file: files are numbered from 0"));
        Ok(Self(job, FileIndex(index.parse().map_err(no_file)?)))
    }
}

/// Reads an id in its one written form.
pub(super) fn job_id(text: &str) -> Option<JobId> {
    /// Five groups of hexadecimal digits and the hyphens between them.
    const UUID_BYTES: usize = 36;
    if text.len() == UUID_BYTES { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{NewFiles, NewJob};
    use super::*;

    fn field_of<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> String {
        let refusal = parse::<T>(body.as_bytes()).unwrap_err();
        format!("{refusal:?}")
            .split("field: \"")
            .nth(1)
            .map_or(String::new(), |rest| rest.split('"').next().unwrap().into())
    }

    #[test]
    fn the_wrong_field_is_named_as_a_json_pointer() {
        assert_eq!(field_of::<NewJob>("{}"), "/type");
        assert_eq!(field_of::<NewJob>(r#"{"type":"download","prority":"high"}"#), "/prority");
        assert_eq!(field_of::<NewJob>(r#"{"type":"download","priority":"urgent"}"#), "/priority");
        assert_eq!(field_of::<NewJob>(r#"{"type":"download","labels":{"a/b":1}}"#), "/labels/a~1b");
        assert_eq!(
            field_of::<NewFiles>(r#"{"files":[{"remote_name":"http://h/","local_name":"/a"},{"remote_name":7}]}"#),
            "/files/1/remote_name"
        );
        assert_eq!(field_of::<NewFiles>(r#"{"files":[{"remote_name":"http://h/"}]}"#), "/files/0/local_name");
    }

    #[test]
    fn what_is_no_json_is_told_apart_from_what_has_another_shape() {
        for text in ["", "{", "{\"type\":\"download\"", "{\"typ\":\"download\"", "nul", "{\"type\":\"download\"}}"] {
            let refusal = format!("{:?}", parse::<NewJob>(text.as_bytes()).unwrap_err());
            assert!(refusal.contains("bad_json"), "{text}: {refusal}");
        }
        assert!(format!("{:?}", parse::<NewJob>(b"{\"type\":\"\xff\"}").unwrap_err()).contains("bad_json"));
        assert!(format!("{:?}", parse::<NewJob>(b"[]").unwrap_err()).contains("invalid_field"));
        assert!(format!("{:?}", parse::<NewFiles>(b" [[]]").unwrap_err()).contains("expected an object"));
        assert_eq!(field_of::<NewFiles>(r#"{"files":[["http://h/","/a"]]}"#), "/files/0");
    }
}
