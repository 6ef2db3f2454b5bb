//! Parameters of a query.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use super::answer::Failure;

/// The names and values of a query, in their order.
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(_) => Err(Failure::invalid(
                "the query is not name=value pairs with & between them",
            )),
        }
    }
}

impl Parameters {
    /// Takes the value of a parameter.
    ///
    /// # Errors
    /// When it is given twice.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let values: Vec<_> = self
            .0
            .extract_if(.., |(given, _)| given == name)
            .map(|(_, value)| value)
            .collect();
        if values.len() > 1 {
            return Err(Failure::invalid(format!("{name} is given twice")));
        }
        Ok(values.into_iter().next())
    }
}
