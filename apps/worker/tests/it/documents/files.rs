//! Files that come once more after they were refused, and the limits of what reads them.

use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::TimeDelta;
use posx_assistant::documents::{DraftKind, FilePlace, MediaType};
use serde_json::json;

use super::Desk;

#[tokio::test]
async fn what_is_sent_again_after_a_refusal_is_deleted_again_until_its_address_is_no_good() {
    let desk = Desk::new().await;
    let bytes = b"MZ\x90\0 a program";
    let id = desk.send(DraftKind::Order, MediaType::Pdf, bytes).await;
    desk.confirm(id).await.unwrap_err();
    let place = FilePlace {
        site: desk.world.site.id,
        document: id,
    };
    let put = async |unique: &str| {
        let length = u32::try_from(bytes.len()).unwrap();
        let mut arrival = desk.folder.receive(place, length, unique).await.unwrap();
        assert!(arrival.write(bytes).await.unwrap() && arrival.finish().await.unwrap());
    };
    let forget_after = async |minutes| {
        desk.world.clock.advance(TimeDelta::minutes(minutes));
        desk.world.add_job("forget_documents", json!({}), 3).await;
        desk.drain().await;
        desk.files()
    };
    put("again").await;
    assert_eq!(forget_after(1).await, 0);
    // It began while the address was good.
    put("late").await;
    assert_eq!(forget_after(30).await, 0);
    put("later").await;
    assert_eq!(forget_after(60).await, 0);
    let gone: bool = sqlx::query_scalar("select file_gone_at is not null from documents where id = $1")
        .bind(id.as_uuid())
        .fetch_one(&desk.world.superuser)
        .await
        .unwrap();
    assert!(gone, "nobody can send it any more");
}

/// By the first limit of processor time it ends with a signal that says so, by the second one it would only be killed.
#[test]
fn the_reader_of_pdfs_limits_itself_before_it_reads() {
    let mut reader = Command::new(env!("CARGO_BIN_EXE_posx-worker"))
        .arg(posx_pdftext::CHILD_ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", reader.id());
    let of = |name: &str| -> Vec<String> {
        let limits = std::fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap().split_whitespace();
        words.take(2).map(str::to_owned).collect()
    };
    let set = || of("Max open files") == ["16", "16"] && of("Max core file size") == ["0", "0"];
    let mut looked = 0;
    while !set() {
        looked += 1;
        assert!(looked < 6_000, "it has no limits");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(of("Max cpu time"), ["20", "30"]);
    assert_eq!(of("Max address space"), ["1073741824", "1073741824"]);
    drop(reader.stdin.take());
    assert!(
        reader.wait().unwrap().success(),
        "it says what is wrong with no file"
    );
}
