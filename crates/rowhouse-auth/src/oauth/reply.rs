//! What an application is told in the query of its redirect URI (RFC 6749 section 4.1.2).

use url::Url;

/// A redirect URI with parameters.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) redirect_uri: String,
    parameters: Vec<(&'static str, String)>,
}

impl Reply {
    /// A code.
    pub(crate) fn code(redirect_uri: &str, code: &str, state: Option<&str>, issuer: &str) -> Self {
        Self::new(redirect_uri, vec![("code", code.to_owned())], state, issuer)
    }

    /// An error.
    pub(crate) fn error(
        redirect_uri: &str,
        (error, description): (&str, String),
        state: Option<&str>,
        issuer: &str,
    ) -> Self {
        let told = vec![("error", error.to_owned()), ("error_description", description)];
        Self::new(redirect_uri, told, state, issuer)
    }

    /// With the issuer (RFC 9207), by which an application of several servers knows whose answer it is.
    fn new(
        redirect_uri: &str,
        mut parameters: Vec<(&'static str, String)>,
        state: Option<&str>,
        issuer: &str,
    ) -> Self {
        parameters.extend(state.map(|state| ("state", state.to_owned())));
        parameters.push(("iss", issuer.to_owned()));
        Self { redirect_uri: redirect_uri.to_owned(), parameters }
    }

    /// The URL; parameters of the redirect URI under the same names are replaced.
    pub(crate) fn url(&self) -> Option<String> {
        let mut url = Url::parse(&self.redirect_uri).ok()?;
        let is_ours = |name: &str| self.parameters.iter().any(|(ours, _)| *ours == name);
        let kept: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(name, _)| !is_ours(name)).collect();
        url.query_pairs_mut().clear().extend_pairs(&kept).extend_pairs(&self.parameters);
        Some(url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_added_and_encoded() {
        let url = |reply: Reply| reply.url().unwrap();
        let code =
            Reply::code("https://shop.example/cb?a=b&code=old", "c d", Some("x&y"), "https://i.example");
        assert_eq!(url(code), "https://shop.example/cb?a=b&code=c+d&state=x%26y&iss=https%3A%2F%2Fi.example");
        let error = Reply::error("myapp://cb", ("access_denied", "No".to_owned()), None, "i");
        assert_eq!(url(error), "myapp://cb?error=access_denied&error_description=No&iss=i");
    }
}
