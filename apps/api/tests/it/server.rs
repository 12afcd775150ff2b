//! The server on a socket: webhooks as the custodian signs them, and a stop.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use posx_kernel::SiteScope;
use posx_sandbox::ModelsCall;
use posx_tenancy::Role;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::objects::furnish;
use crate::world::{Call, Scene, api};

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The future of the server can be spawned on a runtime of many threads.
pub fn spawn(scene: &Scene, listener: TcpListener) -> (oneshot::Sender<()>, tokio::task::JoinHandle<bool>) {
    let (stop, stopped) = oneshot::channel();
    let (services, settings) = (scene.state.services.clone(), scene.settings.server.clone());
    let serving = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        posx_api::serve(services, &settings, listener, shutdown)
            .await
            .is_ok()
    });
    (stop, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_answers_until_it_is_told_to_stop() {
    let scene = Scene::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, serving) = spawn(&scene, listener);
    let request = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(ask(address, request).await.starts_with("HTTP/1.1 200 OK"));
    // A body that is cut off by its sender is no fault of ours.
    let cut = "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc";
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(cut.as_bytes()).await.expect("sent");
    drop(stream);
    // One that is too large is read far enough that its sender reads the answer.
    let large = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 400000\r\n\r\n{}",
        "x".repeat(400_000)
    );
    assert!(ask(address, &large).await.starts_with("HTTP/1.1 413"));
    assert!(ask(address, request).await.starts_with("HTTP/1.1 200 OK"));
    stop.send(()).expect("it runs");
    let stopped = tokio::time::timeout(Duration::from_secs(20), serving)
        .await
        .expect("it stops");
    assert!(stopped.expect("no panic"), "without an error");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

/// Everything that a thread of the server does ends with it. What a provider may bill and a reader was told does not.
#[actix_web::test]
async fn l04_a_stop_in_the_middle_of_an_answer_leaves_it_settled_and_kept() {
    let scene = Scene::with(|settings| settings.server.shutdown_grace_s = 1).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.by(&owner).at(&scene.site);
    crate::models::furnish(&app, &scene.site, &owner).await;
    let consent = Call::put("/api/v1/assistant/consents/staff_chat").json(&json!({ "text_version": 1 }));
    staff(consent).send(&app).await.expect(200);
    let talk = Call::post("/api/v1/assistant/conversations").key("talk");
    let talk = staff(talk.json(&json!({ "title": "Sales" }))).send(&app).await;
    let path = format!("{}/messages", talk.expect(201).header("location"));

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, serving) = spawn(&scene, listener);
    let body = json!({ "message": "[[wait 9000]] Count" }).to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nx-site-code: {}\r\nauthorization: Bearer {}\r\nidempotency-key: one\r\n\
         accept: text/event-stream\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        scene.site.code,
        owner.token,
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let asked = || scene.world.models().line().calls(ModelsCall::Completion);
    for _ in 0..200 {
        if asked() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(asked(), 1, "the model is asked");
    stop.send(()).expect("it runs");
    assert!(serving.await.expect("no panic"));
    // As a process does at its end, before it closes its pools.
    assert!(scene.state.gateway.drain(Duration::from_secs(5)).await);

    let calls = staff(Call::get("/api/v1/assistant/usage/calls"));
    let calls = calls.send(&app).await.expect(200);
    assert_eq!(calls.text("/items/0/state"), "spent");
    assert_eq!(calls.text("/items/0/outcome"), "client_left");
    let messages = staff(Call::get(&path)).send(&app).await.expect(200);
    assert_eq!(messages.text("/items/0/state"), "broken_off");
}

/// What came until the server closed the connection; `None` when it did not within ten seconds.
async fn until_closed(mut stream: impl AsyncRead + Unpin) -> Option<String> {
    let mut answer = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        // A reset closes it as well.
        while let Ok(read @ 1..) = stream.read(&mut part).await {
            answer.extend_from_slice(&part[..read]);
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(10), reading).await;
    closed
        .is_ok()
        .then(|| String::from_utf8_lossy(&answer).into_owned())
}

/// A byte now and then, for as long as it is taken.
async fn trickle(address: SocketAddr, begin: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(begin.as_bytes()).await.expect("sent");
    let (reading, mut writing) = stream.into_split();
    let writer = tokio::spawn(async move {
        while writing.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let answer = until_closed(reading).await;
    writer.abort();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_a_byte_now_and_then_is_cut_off() {
    let scene = Scene::with(|settings| {
        settings.server.headers_timeout_s = 1;
        settings.server.body_timeout_s = 1;
        settings.server.keep_alive_s = 2;
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, serving) = spawn(&scene, listener);
    let head = trickle(address, "GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ");
    let body = trickle(
        address,
        "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n",
    );
    let chunks = trickle(
        address,
        "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n186a0\r\n",
    );
    let second = trickle(
        address,
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\nx-slow: ",
    );
    // What is used as it should be stays open for as long.
    let kept = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        for _ in 0..5 {
            stream
                .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .expect("sent");
            let mut part = [0; 4096];
            let read = stream.read(&mut part).await.expect("an answer");
            assert!(part[..read].starts_with(b"HTTP/1.1 200"));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (head, second, body, chunks, ()) = tokio::join!(head, second, body, chunks, kept);
    assert!(head.expect("closed").starts_with("HTTP/1.1 408"));
    assert!(second.expect("closed").starts_with("HTTP/1.1 200"));
    for body in [body, chunks] {
        let body = body.expect("closed");
        assert!(
            body.starts_with("HTTP/1.1 408") && body.contains("body_too_slow"),
            "{body}"
        );
    }
    stop.send(()).expect("it runs");
    assert!(serving.await.expect("no panic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j02_a_header_of_a_mebibyte_is_refused_and_never_read_to_its_end() {
    let scene = Scene::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, serving) = spawn(&scene, listener);
    let large = |bytes: usize| {
        format!(
            "GET /api/v1/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    let refused = ask(address, &large(40_000)).await;
    assert!(refused.starts_with("HTTP/1.1 431") && refused.contains("headers_too_large"));
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // It may be closed before all of it is sent.
    let _ = stream.write_all(large(1024 * 1024).as_bytes()).await;
    let answer = until_closed(stream).await.expect("closed");
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    let request = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(ask(address, request).await.starts_with("HTTP/1.1 200 OK"));
    stop.send(()).expect("it runs");
    assert!(serving.await.expect("no panic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_two_servers_could_read_differently_is_refused() {
    let scene = Scene::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, serving) = spawn(&scene, listener);
    for headers in [
        "host: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "host: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "host: x\r\ncontent-length: +1\r\n\r\na",
        "host: x\r\nhost: y\r\ncontent-length: 0\r\n\r\n",
    ] {
        let request = format!("POST /webhooks/stripe HTTP/1.1\r\nconnection: close\r\n{headers}");
        let answer = ask(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{headers}: {answer}");
    }
    stop.send(()).expect("it runs");
    assert!(serving.await.expect("no panic"));
}

#[actix_web::test]
async fn the_custodians_signed_events_arrive_and_belong_to_their_site() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, serving) = spawn(&scene, listener);
    let (stripe, fireblocks) = ("/webhooks/stripe", "/webhooks/fireblocks");
    scene.world.deliver_webhooks_to(
        format!("http://{address}{stripe}"),
        format!("http://{address}{fireblocks}"),
    );
    let scope = SiteScope::of_claimed_job(scene.site.id);
    crate::allocation_batches::agree(&scene, &app, &scene.site, &objects.batch).await;
    let batch = objects.batch.parse().expect("an id");
    scene
        .state
        .services
        .allocations
        .submit_batch(&scope, batch)
        .await
        .expect("submitted");
    assert!(
        scene
            .world
            .custodian()
            .webhooks()
            .idle(Duration::from_secs(10))
            .await,
        "delivered"
    );
    assert!(
        scene
            .world
            .payments()
            .webhooks()
            .idle(Duration::from_secs(10))
            .await,
        "delivered"
    );
    let events = Call::get("/api/v1/webhook-events?limit=100")
        .by(&objects.owner)
        .at(&scene.site);
    let events = events.send(&app).await.expect(200);
    let providers: Vec<_> = events.json["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["provider"].clone())
        .collect();
    assert!(
        providers.contains(&"stripe".into()) && providers.contains(&"fireblocks".into()),
        "{}",
        events.json
    );
    stop.send(()).expect("it runs");
    assert!(serving.await.expect("no panic"));
}
