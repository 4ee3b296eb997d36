//! How single values are read: choices, networks, seconds, files, folders and the public URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use domain::catalog::Catalog;
use http::Uri;
use ipnet::IpNet;
use store::networks::parse_network;

use super::error::ConfigError;

pub(super) const DEFAULT_WAITS: &str = "5,300,1800,7200,18000,36000,36000";

/// Whether the value is the first word, which is also the default.
pub(super) fn one_of(
    variable: &'static str,
    value: Option<&str>,
    first: &str,
    second: &str,
) -> Result<bool, ConfigError> {
    match value {
        None => Ok(true),
        Some(value) if value == first => Ok(true),
        Some(value) if value == second => Ok(false),
        Some(value) => Err(ConfigError::new(
            variable,
            format!("“{value}” is not valid; use {first} or {second}"),
        )),
    }
}

/// CIDR ranges or IP addresses, separated by commas.
pub(super) fn networks(
    variable: &'static str,
    text: Option<&str>,
) -> Result<Vec<IpNet>, ConfigError> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            parse_network(text).ok_or_else(|| {
                ConfigError::new(
                    variable,
                    format!("“{text}” is not a CIDR range like 10.0.0.0/8"),
                )
            })
        })
        .collect()
}

/// Seconds, separated by commas; an empty list means one attempt.
pub(super) fn waits_between(text: &str) -> Result<Vec<Duration>, ConfigError> {
    text.split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.parse::<u32>()
                .map(|seconds| Duration::from_secs(seconds.into()))
                .map_err(|_| {
                    ConfigError::new(
                        "WHEELHOUSE_WEBHOOK_RETRY_SECONDS",
                        format!(
                            "“{text}” is not a number of seconds; use a list like {DEFAULT_WAITS}"
                        ),
                    )
                })
        })
        .collect()
}

pub(super) fn catalog(path: &str) -> Result<Catalog, ConfigError> {
    let error = |problem: &dyn fmt::Display| ConfigError::new("WHEELHOUSE_CATALOG", problem);
    let text = std::fs::read_to_string(path)
        .map_err(|problem| error(&format!("cannot read the file “{path}”: {problem}")))?;
    Catalog::parse(&text).map_err(|problem| error(&problem))
}

pub(super) fn site_root(text: &str) -> Result<PathBuf, ConfigError> {
    let path = PathBuf::from(text);
    if path.is_dir() {
        return Ok(path);
    }
    let problem = format!("the directory “{text}” does not exist");
    Err(ConfigError::new("WHEELHOUSE_SITE_ROOT", problem))
}

/// Scheme, host and port only: cookies and the Origin check have no paths. Normalized as browsers normalize an origin: in
/// lower case and without the default port.
pub(super) fn public_url(text: &str) -> Result<String, ConfigError> {
    let error = || {
        ConfigError::new(
            "WHEELHOUSE_PUBLIC_URL",
            "must be a URL like https://settings.example.com without a path",
        )
    };
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| error())?;
    match (uri.scheme_str(), uri.authority(), uri.path(), uri.query()) {
        (Some(scheme @ ("http" | "https")), Some(authority), "/" | "", None)
            if !authority.as_str().contains('@') && !authority.host().is_empty() =>
        {
            let host = authority.host().to_ascii_lowercase();
            let usual = if scheme == "https" { 443 } else { 80 };
            Ok(match authority.port_u16().filter(|port| *port != usual) {
                Some(port) => format!("{scheme}://{host}:{port}"),
                None => format!("{scheme}://{host}"),
            })
        }
        _ => Err(error()),
    }
}
