//! Sees when orders become paid: one psql that asks again and again, about those alone that somebody waits for.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::seed::SITE;

/// What is measured through a watch is so much too long at most, and the question itself.
const PAUSE: Duration = Duration::from_millis(1);
/// Ends an answer.
const END: &str = ".";

struct Wish {
    order: String,
    paid: oneshot::Sender<()>,
}

/// Ends its psql when it is dropped.
#[derive(Debug)]
pub struct Watch {
    wishes: mpsc::Sender<Wish>,
}

impl Watch {
    pub fn start(bindir: &Path, url: &str) -> std::io::Result<Self> {
        let psql = Command::new(bindir.join("psql"))
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
                url,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let (wishes, inbox) = mpsc::channel();
        std::thread::spawn(move || {
            // When it ends, whoever still waits is told by the end of their channel.
            if let Err(error) = watch(psql, &inbox) {
                eprintln!("nobody looks for paid orders any more: {error}");
            }
        });
        Ok(Self { wishes })
    }

    /// Resolves when the order is paid; an error when nobody looks any more.
    pub fn paid(&self, order: String) -> oneshot::Receiver<()> {
        let (paid, seen) = oneshot::channel();
        // A watch that has ended drops the wish, and with it the sender.
        self.wishes.send(Wish { order, paid }).ok();
        seen
    }
}

fn watch(mut psql: Child, inbox: &mpsc::Receiver<Wish>) -> std::io::Result<()> {
    let broken = || std::io::Error::other("psql went away");
    let mut questions = psql.stdin.take().ok_or_else(broken)?;
    let mut answers = BufReader::new(psql.stdout.take().ok_or_else(broken)?).lines();
    let mut waiting: HashMap<String, oneshot::Sender<()>> = HashMap::new();
    loop {
        if waiting.is_empty() {
            match inbox.recv() {
                Ok(Wish { order, paid }) => waiting.insert(order, paid),
                Err(mpsc::RecvError) => break,
            };
        }
        waiting.extend(inbox.try_iter().map(|Wish { order, paid }| (order, paid)));
        // Who gave up is not asked for any more.
        waiting.retain(|_, paid| !paid.is_closed());
        let orders: Vec<&str> = waiting.keys().map(String::as_str).collect();
        writeln!(
            questions,
            "select id::text from orders where site_id = '{SITE}' and id = any ('{{{}}}') and payment = 'paid' union all select '{END}';",
            orders.join(",")
        )?;
        questions.flush()?;
        loop {
            let line = answers.next().ok_or_else(broken)??;
            if line == END {
                break;
            }
            if let Some(paid) = waiting.remove(&line) {
                paid.send(()).ok();
            }
        }
        std::thread::sleep(PAUSE);
    }
    drop(questions);
    psql.wait().map(drop)
}
