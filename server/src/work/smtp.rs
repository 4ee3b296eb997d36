//! Connects to an SMTP server step by step: the failing step decides whether an email is lost or only late. Denying
//! access says nothing about the email; refusing its recipient or its text does.

use std::net::IpAddr;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use url::Url;

/// How long one step of the SMTP dialog can take.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// RFC 5321, 4.2.3: permanent responses to a recipient or a text.
const FOR_GOOD: std::ops::RangeInclusive<u16> = 550..=554;

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// From the first byte: `smtps://`.
    Wrapped,
    /// By STARTTLS; without it, the connection fails.
    Required,
    /// By STARTTLS if the server offers it.
    Offered,
    Never,
}

/// The SMTP server and how to connect to it. `Debug` omits the password.
#[derive(Clone, Debug)]
pub struct SmtpEndpoint {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
}

/// Why an email was not sent.
#[derive(Debug)]
pub enum SmtpError {
    /// The server was unreachable or denied access; no email could have been sent.
    Connection(String),
    /// The server refused this email for now.
    Transient(String),
    /// The server refused this email permanently.
    Permanent(String),
}

impl SmtpEndpoint {
    /// Parses `smtp://user:password@host:587` or `smtps://…`. With a password, STARTTLS is required unless the server
    /// is this machine; `?tls=` overrides that: `required`, `opportunistic` or `none`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "must look like smtp://user:password@host:587 or smtps://user:password@host";
        let url = Url::parse(text).map_err(|_| FORM)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?;
        let asked = url.query_pairs().find(|(key, _)| key == "tls");
        let asked = asked.as_ref().map(|(_, value)| value.as_ref());
        let credentials = credentials(&url).ok_or(FORM)?;
        let secret = credentials.is_some() && !is_loopback(host);
        let tls = match (url.scheme(), asked) {
            ("smtps", None | Some("required")) => Tls::Wrapped,
            ("smtp", Some("required")) => Tls::Required,
            ("smtp", Some("opportunistic")) => Tls::Offered,
            ("smtp", Some("none")) if secret => {
                return Err("would send the password in clear text; remove ?tls=none");
            }
            ("smtp", None) if secret => Tls::Required,
            ("smtp", None | Some("none")) => Tls::Never,
            ("smtp" | "smtps", Some(_)) => {
                return Err("?tls= must be required, opportunistic or none");
            }
            _ => return Err(FORM),
        };
        let usual = match tls {
            Tls::Wrapped => 465,
            Tls::Required | Tls::Offered => 587,
            Tls::Never => 25,
        };
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(usual),
            tls,
            credentials,
            hello,
        })
    }

    /// Connects, encrypts and signs in.
    pub async fn connect(&self) -> Result<Connection, SmtpError> {
        let way = |error: Error| SmtpError::Connection(error.to_string());
        let tls = || TlsParameters::new(self.host.clone()).map_err(way);
        let wrapped = match self.tls {
            Tls::Wrapped => Some(tls()?),
            _ => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            server,
            Some(STEP_TIMEOUT),
            &self.hello,
            wrapped,
            None,
        )
        .await
        .map_err(way)?;
        let upgrade = match self.tls {
            Tls::Required => true,
            Tls::Offered => connection.can_starttls(),
            Tls::Wrapped | Tls::Never => false,
        };
        if upgrade {
            connection
                .starttls(tls()?, &self.hello)
                .await
                .map_err(way)?;
        }
        if let Some(credentials) = &self.credentials {
            // A man in the middle may have removed STARTTLS from the server's offer.
            if !connection.is_encrypted() && !is_loopback(&self.host) {
                return Err(SmtpError::Connection(
                    "the server does not offer STARTTLS, and a password is not sent in clear text"
                        .to_owned(),
                ));
            }
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
                .await
                .map_err(way)?;
        }
        Ok(Connection(connection))
    }
}

/// A session with the server, for one email after another.
pub struct Connection(AsyncSmtpConnection);

impl Connection {
    pub async fn send(&mut self, message: &Message) -> Result<(), SmtpError> {
        let result = self.talk(message).await;
        // After refusing an email, a server accepts the next one after a reset.
        if matches!(
            result,
            Err(SmtpError::Transient(_) | SmtpError::Permanent(_))
        ) && let Err(error) = self.0.command(Rset).await
        {
            tracing::debug!(%error, "the SMTP server hung up after a refusal");
        }
        result
    }

    async fn talk(&mut self, message: &Message) -> Result<(), SmtpError> {
        let (envelope, text) = (message.envelope(), message.formatted());
        let options = self.options(message, &text)?;
        let sender = Mail::new(envelope.from().cloned(), options);
        // A server that refuses the sender refuses it in every email.
        self.0.command(sender).await.map_err(not_the_letters)?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            self.0.command(recipient).await.map_err(message_error)?;
        }
        self.0.command(Data).await.map_err(message_error)?;
        self.0.message(&text).await.map_err(message_error)?;
        Ok(())
    }

    fn options(&self, message: &Message, text: &[u8]) -> Result<Vec<MailParameter>, SmtpError> {
        let server = self.0.server_info();
        let mut options = Vec::new();
        let envelope = message.envelope();
        let mut addresses = envelope.to().iter().chain(envelope.from());
        if addresses.any(|address| !address.to_string().is_ascii()) {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                let why = "the SMTP server does not accept non-ASCII addresses (SMTPUTF8)";
                return Err(SmtpError::Permanent(why.to_owned()));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        if !text.is_ascii() {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(options)
    }

    pub async fn close(mut self) {
        // A courtesy: the emails are sent.
        let _ = self.0.quit().await;
    }
}

/// Classifies a response to the recipient or the text.
fn message_error(error: Error) -> SmtpError {
    let text = error.to_string();
    match error.status().map(u16::from) {
        Some(code) if FOR_GOOD.contains(&code) => SmtpError::Permanent(text),
        // 421: the server is closing the connection.
        None | Some(421) => SmtpError::Connection(text),
        Some(_) => SmtpError::Transient(text),
    }
}

/// Classifies an earlier response, which says nothing about the email.
fn not_the_letters(error: Error) -> SmtpError {
    let text = error.to_string();
    match error.status().map(u16::from) {
        None | Some(421) => SmtpError::Connection(text),
        Some(_) => SmtpError::Transient(text),
    }
}

/// User and password, if any; `None` if they are not valid text.
#[expect(
    clippy::option_option,
    reason = "whether it can be read, and whether it is there"
)]
fn credentials(url: &Url) -> Option<Option<Credentials>> {
    let Some(password) = url.password() else {
        return Some(None);
    };
    let plain = |text: &str| {
        let bytes = percent_encoding::percent_decode_str(text);
        bytes.decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    let (user, password) = (plain(url.username())?, plain(password)?);
    Some(Some(Credentials::new(user, password)))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_the_password() {
        let route = SmtpEndpoint::parse("smtps://user:hush-hush@mail.example").unwrap();
        assert!(!format!("{route:?}").contains("hush-hush"));
    }

    #[test]
    fn a_password_travels_encrypted_or_within_this_machine() {
        let tls = |url: &str| SmtpEndpoint::parse(url).map(|route| (route.tls, route.port));
        assert_eq!(tls("smtp://u:p@mail.example:587"), Ok((Tls::Required, 587)));
        assert_eq!(tls("smtp://u:p@mail.example"), Ok((Tls::Required, 587)));
        assert_eq!(tls("smtps://u:p@mail.example"), Ok((Tls::Wrapped, 465)));
        assert_eq!(tls("smtp://u:p@127.0.0.1:1025"), Ok((Tls::Never, 1025)));
        assert_eq!(tls("smtp://u:p@localhost"), Ok((Tls::Never, 25)));
        assert_eq!(tls("smtp://u:p@[::1]:25"), Ok((Tls::Never, 25)));
        assert_eq!(tls("smtp://mail.example"), Ok((Tls::Never, 25)));
        assert_eq!(
            tls("smtp://u:p@mail.example?tls=opportunistic"),
            Ok((Tls::Offered, 587))
        );
        assert_eq!(
            tls("smtp://mail.example?tls=required"),
            Ok((Tls::Required, 587))
        );
        assert!(tls("smtp://u:p@mail.example?tls=none").is_err());
        assert!(tls("smtp://mail.example?tls=perhaps").is_err());
        for nonsense in ["http://mail.example", "mail.example", "smtp://", ""] {
            assert!(tls(nonsense).is_err(), "{nonsense}");
        }
    }
}
