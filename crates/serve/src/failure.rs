//! Answers to requests that are refused.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that is refused: the status and one sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    /// The request is wrong.
    pub(crate) fn bad(message: impl ToString) -> Failure {
        Failure { status: StatusCode::BAD_REQUEST, message: message.to_string() }
    }

    /// It lacks the token, or comes from elsewhere.
    pub(crate) fn forbidden(message: impl ToString) -> Failure {
        Failure { status: StatusCode::FORBIDDEN, message: message.to_string() }
    }

    /// There is nothing of that name.
    pub(crate) fn missing(message: impl ToString) -> Failure {
        Failure { status: StatusCode::NOT_FOUND, message: message.to_string() }
    }

    /// The requested data cannot be read: it is damaged, or was removed a moment ago.
    pub(crate) fn unreadable(message: impl ToString) -> Failure {
        Failure { status: StatusCode::UNPROCESSABLE_ENTITY, message: message.to_string() }
    }

    /// A method other than GET and HEAD.
    pub(crate) fn method() -> Failure {
        let message = "the server only reads: it answers GET and HEAD".to_owned();
        Failure { status: StatusCode::METHOD_NOT_ALLOWED, message }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.message }).to_string();
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
