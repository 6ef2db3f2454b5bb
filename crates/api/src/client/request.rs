//! One request before it is sent.

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use serde::Serialize;

use super::error::Error;
use super::retry::Retry;

/// A request to the API, without the headers that all of them have.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Segments below the base URL, not yet encoded.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    /// JSON. A POST without one is sent with `Content-Length: 0`.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) accept: &'static str,
    /// Besides those that every request has; they win over them.
    pub(crate) headers: HeaderMap,
    pub(crate) retry: Retry,
    /// Whether it names nothing that could be missing, although it is no GET.
    names_nothing: bool,
}

impl Request {
    pub(crate) fn new<S: Into<String>>(method: Method, path: impl IntoIterator<Item = S>) -> Self {
        Self {
            method,
            path: path.into_iter().map(Into::into).collect(),
            query: Vec::new(),
            body: None,
            accept: "application/json",
            headers: HeaderMap::new(),
            retry: Retry::Allowed,
            names_nothing: false,
        }
    }

    pub(crate) fn get<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Marks an operation that must not be repeated.
    pub(crate) fn once(mut self) -> Self {
        self.retry = Retry::Never;
        self
    }

    /// Says whether neither path nor body name a thing that could be missing.
    pub(crate) fn names_nothing(mut self, names_nothing: bool) -> Self {
        self.names_nothing = names_nothing;
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        self.body = Some(
            serde_json::to_vec(body)
                .map_err(|error| Error::set_up(error.to_string()).caused_by(error))?,
        );
        Ok(self)
    }

    /// Returns whether every API has the path: the request names no thing that could be missing.
    pub(crate) fn is_always_there(&self) -> bool {
        let is_list = match self.path.as_slice() {
            [_] | [_, _] => true,
            [_, noun, _] => noun == "org",
            _ => false,
        };
        self.names_nothing || (self.method == Method::GET && is_list)
    }

    /// What messages call this request, such as `GET /v1/vms`.
    pub(crate) fn what(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }

    /// The whole URL. Refuses segments that a URL would swallow.
    pub(crate) fn url(&self, base: &Url) -> Result<Url, Error> {
        if let Some(bad) = self
            .path
            .iter()
            .find(|segment| ["", ".", ".."].contains(&segment.as_str()))
        {
            return Err(Error::InvalidId(bad.clone()));
        }
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::set_up("the base URL has no path"))?
            .pop_if_empty()
            .extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, path: &[&str]) -> Result<String, Error> {
        Request::get(path.iter().copied())
            .url(&base.parse().unwrap())
            .map(Into::into)
    }

    #[test]
    fn a_path_prefix_of_the_base_url_is_kept() {
        for base in ["http://h/pre/fix", "http://h/pre/fix/"] {
            assert_eq!(
                url(base, &["v1", "vms"]).unwrap(),
                "http://h/pre/fix/v1/vms"
            );
        }
    }

    #[test]
    fn ids_are_encoded_and_dots_refused() {
        assert_eq!(
            url("http://h", &["v1", "vms", "a/b?c"]).unwrap(),
            "http://h/v1/vms/a%2Fb%3Fc"
        );
        assert!(url("http://h", &["v1", "vms", ".."]).is_err());
        assert!(url("http://h", &["v1", "vms", ""]).is_err());
    }
}
