//! The server on a socket: webhooks as the custodian signs them, and a stop.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use posx_kernel::SiteScope;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
fn spawn(scene: &Scene, listener: TcpListener) -> (oneshot::Sender<()>, tokio::task::JoinHandle<bool>) {
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
