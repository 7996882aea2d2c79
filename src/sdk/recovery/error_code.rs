//! The error code of a response, in the forms of all AWS protocols.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::refresh::renewal::Reason;

/// A larger body is not an error of a service.
const MAX_BODY: usize = 64 * 1024;

/// Why the service refused the credentials. `None` if the response does not say that it refused them.
pub(super) fn reason(response: &HttpResponse) -> Option<Reason> {
    if ![400, 401, 403].contains(&response.status().as_u16()) {
        return None;
    }
    let header = |name: &str| response.headers().get(name);
    let body = || response.body().bytes().filter(|body| body.len() <= MAX_BODY);
    if let Some(code) = header("x-amzn-errortype").or_else(|| header("x-amzn-query-error")) {
        return of_code(code);
    }
    let body = body()?;
    match body.trim_ascii_start().first() {
        Some(b'<') => of_code(xml(std::str::from_utf8(body).ok()?)?),
        Some(b'{') => of_code(&json(body)?),
        _ => None,
    }
}

/// Services also send `com.amazonaws#Code`, `Code:http://…` and `Code;Sender`.
fn of_code(code: &str) -> Option<Reason> {
    let code = code.split([':', ';']).next().unwrap_or_default();
    match code.rsplit('#').next().unwrap_or_default().trim() {
        "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" | "TokenRefreshRequired" => Some(Reason::Ended),
        "InvalidClientTokenId" | "UnrecognizedClientException" => Some(Reason::Unknown),
        _ => None,
    }
}

/// The code in `<Error>`, as the root element or in one of the root elements that AWS uses. In other places it may be a quotation.
fn xml(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    if rest.starts_with("<?xml") {
        rest = rest.split_once("?>")?.1.trim_start();
    }
    for outer in ["ErrorResponse", "Response", "Errors"] {
        rest = match rest.strip_prefix('<').and_then(|rest| rest.strip_prefix(outer)) {
            Some(attributes) if attributes.starts_with(['>', ' ', '\n', '\t', '\r']) => {
                attributes.split_once('>')?.1.trim_start()
            }
            _ => rest,
        };
    }
    let error = rest.strip_prefix("<Error>")?.split_once("</Error>")?.0;
    let (_, code) = error.split_once("<Code>")?;
    Some(code.split_once("</Code>")?.0)
}

/// The code in an object of AWS JSON or REST JSON.
fn json(body: &[u8]) -> Option<String> {
    let object: serde_json::Value = serde_json::from_slice(body).ok()?;
    ["__type", "code", "Code"].iter().find_map(|name| object.get(name)?.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn reason_of(status: u16, header: Option<(&'static str, &'static str)>, body: &'static str) -> Option<Reason> {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        reason(&response)
    }

    #[test]
    fn error_code_ignores_bodies_of_more_than_64_kib() {
        let body = "<Error><Code>ExpiredToken</Code></Error>";
        for (size, expected) in [(64 * 1024, Some(Reason::Ended)), (64 * 1024 + 1, None)] {
            let padded = body.to_owned() + &" ".repeat(size - body.len());
            let response = HttpResponse::new(403.try_into().unwrap(), SdkBody::from(padded));
            assert_eq!(reason(&response), expected, "{size}");
        }
    }

    #[test]
    fn error_code_is_found_in_every_protocol() {
        use Reason::{Ended, Unknown};
        for (header, body, expected) in [
            (
                None,
                "<?xml version=\"1.0\"?>\n<Error><Code>ExpiredToken</Code><Message>m</Message></Error>",
                Some(Ended),
            ),
            (None, "<Error><Message>m</Message><Code>InvalidToken</Code></Error>", Some(Ended)),
            (
                None,
                "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code></Error></ErrorResponse>",
                Some(Unknown),
            ),
            (
                None,
                "<Response><Errors><Error><Code>TokenRefreshRequired</Code></Error></Errors></Response>",
                Some(Ended),
            ),
            (None, r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"m"}"#, Some(Unknown)),
            (None, r#"{"__type":"com.amazon.coral.service#ExpiredTokenException"}"#, Some(Ended)),
            (None, r#"{"code":"ExpiredToken"}"#, Some(Ended)),
            (Some(("x-amzn-errortype", "ExpiredTokenException:http://internal/")), "", Some(Ended)),
            (Some(("x-amzn-query-error", "InvalidClientTokenId;Sender")), "", Some(Unknown)),
            (Some(("x-amzn-errortype", "AccessDeniedException")), r#"{"code":"ExpiredToken"}"#, None),
            (None, "<Error><Code>AccessDenied</Code></Error>", None),
            (None, "", None),
            (None, "ExpiredToken", None),
            // A service that quotes the error of another service.
            (None, "<Report><Error><Code>ExpiredToken</Code></Error></Report>", None),
            (None, "<html><Error><Code>ExpiredToken</Code></Error></html>", None),
            (None, "<ErrorsOfAnother><Error><Code>ExpiredToken</Code></Error></ErrorsOfAnother>", None),
            (None, "<Error><Code>AccessDenied</Code></Error><Code>ExpiredToken</Code>", None),
            (None, r#"{"message":"ExpiredToken"}"#, None),
            (None, r#"["ExpiredToken"]"#, None),
        ] {
            assert_eq!(reason_of(403, header, body), expected, "{header:?} {body}");
        }
        let body = "<Error><Code>ExpiredToken</Code></Error>";
        let statuses = [200, 307, 400, 401, 403, 404, 500, 503];
        assert_eq!(
            statuses.map(|status| reason_of(status, None, body).is_some()),
            [false, false, true, true, true, false, false, false]
        );
    }
}
