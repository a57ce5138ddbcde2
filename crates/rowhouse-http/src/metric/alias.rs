//! Names that existing rules and dashboards use for the same numbers. Written at scrape time, so that a request
//! is counted once.

use std::collections::BTreeMap;

const SOURCE: &str = "http_server_request_duration_seconds";

/// Appends `http_request_duration_seconds`, `http_requests_total` and, for the data API's routes,
/// `postgrest_request_duration_seconds` and `postgrest_requests_total`.
pub(super) fn append(text: &mut String) {
    let mut families: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(SOURCE)) {
        let labels = relabel(line);
        let is_rest = line.contains("http_route=\"/rest/v1");
        families.entry("http_request_duration_seconds").or_default().push(labels.clone());
        if is_rest {
            families.entry("postgrest_request_duration_seconds").or_default().push(labels.clone());
        }
        if let Some(count) = labels.strip_prefix("_count") {
            families.entry("http_requests_total").or_default().push(count.to_owned());
            if is_rest {
                families.entry("postgrest_requests_total").or_default().push(count.to_owned());
            }
        }
    }
    for (name, lines) in families {
        let kind = if name.ends_with("_total") { "counter" } else { "histogram" };
        text.push_str(&format!("# TYPE {name} {kind}\n"));
        lines.iter().for_each(|line| text.push_str(&format!("{name}{line}\n")));
        text.push('\n');
    }
}

fn relabel(line: &str) -> String {
    line.replace("http_request_method=", "method=")
        .replace("http_route=", "route=")
        .replace("http_response_status_code=", "status_code=")
}

#[cfg(test)]
mod tests {
    #[test]
    fn aliases_carry_the_same_numbers() {
        let mut text = String::from(
            "# TYPE http_server_request_duration_seconds histogram\n\
             http_server_request_duration_seconds_bucket{http_request_method=\"GET\",http_route=\"/rest/v1/{*path}\",http_response_status_code=\"200\",le=\"0.005\"} 3\n\
             http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"/rest/v1/{*path}\",http_response_status_code=\"200\"} 4\n",
        );
        super::append(&mut text);
        for line in [
            "http_requests_total{method=\"GET\",route=\"/rest/v1/{*path}\",status_code=\"200\"} 4",
            "postgrest_requests_total{method=\"GET\",route=\"/rest/v1/{*path}\",status_code=\"200\"} 4",
            "http_request_duration_seconds_bucket{method=\"GET\",route=\"/rest/v1/{*path}\",status_code=\"200\",le=\"0.005\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\nin\n{text}");
        }
    }
}
