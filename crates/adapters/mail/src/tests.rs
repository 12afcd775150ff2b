//! Messages as they leave, and a server that speaks SMTP on this machine.

use std::sync::Arc;

use posx_kernel::{ManualClock, SystemIds};
use posx_tenancy::{EmailAddress, Mail, MailOutcome, Mailer as _};
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{FolderMailer, Sender, SenderError, SmtpAddressError, SmtpMailer};

const ADDRESS: &str = "ann@example.com";

fn sender() -> Sender {
    let clock = ManualClock::stopped_at("2026-06-01T12:00:00Z".parse().expect("an instant"));
    Sender::new(
        "POSX <no-reply@posx.example>",
        Arc::new(clock),
        Arc::new(SystemIds),
    )
    .expect("a sender")
}

fn mail(subject: &str, body: &str) -> Mail {
    Mail {
        to: EmailAddress::parse(ADDRESS).expect("an address"),
        subject: subject.to_owned(),
        body: body.to_owned(),
    }
}

/// Header lines, unfolded.
fn headers(message: &str) -> Vec<String> {
    let (head, _) = message.split_once("\r\n\r\n").expect("head and body");
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.split("\r\n").map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_message_is_a_file_with_its_headers_and_its_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let mailer = FolderMailer::new(folder.path().join("mail"), sender());
    let letter = mail("Invitation to Gülf", "Open https://a.example/#token=abc\n");
    let sent = mailer.send(&letter).await;
    assert_eq!(sent.expect("written"), MailOutcome::Accepted);
    let mut files = std::fs::read_dir(folder.path().join("mail")).expect("the folder");
    let file = files.next().expect("a file").expect("a file").path();
    assert!(files.next().is_none());
    assert_eq!(file.extension().and_then(|name| name.to_str()), Some("eml"));
    let text = std::fs::read_to_string(file).expect("text");
    let headers = headers(&text);
    for expected in [
        "From: POSX <no-reply@posx.example>",
        "To: ann@example.com",
        "Date: Mon, 01 Jun 2026 12:00:00 +0000",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(
            headers.iter().any(|line| line == expected),
            "{expected}: {headers:?}"
        );
    }
    assert!(
        text.ends_with("\r\n\r\nOpen https://a.example/#token=abc\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_subject_never_becomes_a_second_header_or_the_body() {
    let plain = {
        let (_, message) = sender().compose(&mail("Hello", "x")).expect("a message");
        headers(&String::from_utf8(message.formatted()).expect("text")).len()
    };
    for attack in [
        "Hello\r\nBcc: eve@example.com",
        "Hello\nBcc: eve@example.com",
        "Hello\rBcc: eve@example.com",
        "Hello\r\n\r\nBcc: eve@example.com",
        "Hello\u{0}\r\n Bcc: eve@example.com",
        "Hellö\u{85}Bcc: eve@example.com\u{2028}Bcc: eve@example.com",
        "=?utf-8?q?Hello=0D=0ABcc:_eve@example.com?=",
    ] {
        let (_, message) = sender().compose(&mail(attack, "x")).expect("a message");
        let text = String::from_utf8(message.formatted()).expect("text");
        let headers = headers(&text);
        assert_eq!(headers.len(), plain, "{attack:?}: {headers:?}");
        assert!(
            !headers.iter().any(|line| line.to_lowercase().starts_with("bcc")),
            "{headers:?}"
        );
        assert_eq!(message.envelope().to().len(), 1, "{attack:?}");
        assert!(text.ends_with("\r\n\r\nx"), "{text:?}");
    }
}

#[test]
fn a_sender_is_one_address_on_one_line() {
    for good in ["no-reply@posx.example", "POSX <no-reply@posx.example>"] {
        assert_eq!(Sender::check(good), Ok(()));
    }
    for bad in [
        "",
        "POSX",
        "a@b.example\r\nBcc: eve@example.com",
        "A\n <a@b.example>",
    ] {
        assert_eq!(Sender::check(bad), Err(SenderError), "{bad:?}");
    }
}

#[test]
fn an_address_of_a_server_insists_on_tls_and_is_never_shown() {
    let check = |url: &str| SmtpMailer::check(&SecretString::from(url.to_owned()));
    assert_eq!(check("smtps://user:pass@mail.example"), Ok(()));
    assert_eq!(check("smtp://user:pass@mail.example:587?tls=required"), Ok(()));
    for plain in [
        "smtp://user:pass@mail.example",
        "smtp://mail.example?tls=opportunistic",
    ] {
        assert_eq!(check(plain), Err(SmtpAddressError::Plain), "{plain}");
    }
    for bad in ["", "mail.example", "https://mail.example", "smtp://"] {
        assert_eq!(check(bad), Err(SmtpAddressError::Unreadable), "{bad}");
    }
    let shown = format!(
        "{:?}",
        SmtpMailer::new(
            &SecretString::from("smtps://user:hunter2hunter2@mail.example".to_owned()),
            sender()
        )
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// Serves one connection and answers each command with the line that belongs to its first word. Returns what was said.
async fn server(answers: &'static [(&'static str, &'static str)]) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let mut stream = BufReader::new(stream);
        let (mut said, mut in_data) = (String::new(), false);
        stream.write_all(b"220 mail.test\r\n").await.expect("written");
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return said;
            }
            said.push_str(&line);
            let word = line.split([' ', '\r']).next().unwrap_or("");
            let fallback = match word {
                "." => "250 taken",
                _ if in_data => continue,
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "250 fine",
            };
            let answer = answers
                .iter()
                .find(|(of, _)| *of == word)
                .map_or(fallback, |(_, answer)| answer);
            in_data = word == "DATA" && answer.starts_with("354");
            let answer = format!("{answer}\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return said;
            }
        }
    });
    (url, served)
}

async fn send_to(answers: &'static [(&'static str, &'static str)]) -> (Result<MailOutcome, String>, String) {
    let (url, served) = server(answers).await;
    let mailer = SmtpMailer::new(&SecretString::from(url), sender()).expect("an address");
    let sent = mailer.send(&mail("Hello", "Open the link\n")).await;
    drop(mailer);
    let said = tokio::time::timeout(std::time::Duration::from_secs(10), served)
        .await
        .expect("the connection ends")
        .expect("served");
    let chain = |error: posx_tenancy::MailerError| format!("{error}: {}", error.0);
    (sent.map_err(chain), said)
}

#[tokio::test]
async fn a_server_takes_the_message_as_it_was_composed() {
    let (sent, said) = send_to(&[]).await;
    assert_eq!(sent, Ok(MailOutcome::Accepted));
    assert!(said.contains("MAIL FROM:<no-reply@posx.example>"), "{said}");
    assert!(said.contains("RCPT TO:<ann@example.com>"), "{said}");
    assert!(said.contains("Subject: Hello\r\n"), "{said}");
    assert!(said.contains("\r\n\r\nOpen the link\r\n"), "{said}");
    assert!(said.contains("\r\n.\r\n"), "{said}");
}

#[tokio::test]
async fn an_address_that_the_server_refuses_for_good_is_refused() {
    let (sent, _) = send_to(&[("RCPT", "550 5.1.1 <ann@example.com> is not here")]).await;
    assert_eq!(sent, Ok(MailOutcome::Refused));
}

#[tokio::test]
async fn whatever_else_a_server_says_is_unknown_and_names_no_address() {
    for answers in [
        &[("RCPT", "451 4.7.1 <ann@example.com> greylisted")][..],
        &[("MAIL", "530 5.7.0 sign in first, ann@example.com")],
        &[(".", "552 ann@example.com is full")],
        &[("DATA", "nonsense ann@example.com")],
    ] {
        let (sent, _) = send_to(answers).await;
        let why = sent.expect_err("unknown");
        assert!(!why.contains("ann@") && !why.contains("example"), "{why}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let mailer = SmtpMailer::new(&SecretString::from(url), sender()).expect("an address");
    let why = mailer.send(&mail("Hello", "x")).await.expect_err("away");
    assert_eq!(why.0.to_string(), "SMTP: no connection");
}

#[tokio::test]
async fn a_server_is_greeted_and_gets_no_message() {
    let (url, served) = server(&[]).await;
    SmtpMailer::greet(&SecretString::from(url))
        .await
        .expect("a greeting");
    let said = served.await.expect("it ended");
    assert!(said.contains("EHLO") && !said.contains("MAIL FROM"), "{said}");
    let refused = SmtpMailer::greet(&SecretString::from("smtp://127.0.0.1:9".to_owned())).await;
    assert_eq!(refused.expect_err("nobody").0.to_string(), "SMTP: no connection");
}
