use posx_runtime::{LogFormat, LogSettings, serve_metrics, telemetry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn get(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_is_counted_is_served_on_the_metrics_port_and_nothing_else_is() {
    let settings = LogSettings {
        format: LogFormat::Pretty,
        filter: "off".into(),
    };
    let handle = telemetry::init(&settings).unwrap();
    metrics::counter!("posx_test_total", "kind" => "a").increment(3);
    metrics::histogram!("posx_test_seconds").record(0.2);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(serve_metrics(listener, handle));
    let answer = get(port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("posx_test_total{kind=\"a\"} 3"), "{answer}");
    assert!(
        answer.contains("posx_test_seconds_bucket{le=\"0.25\"} 1"),
        "{answer}"
    );
    let answer = get(port, "GET /else HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    // One that says nothing sensible does not keep the next from its answer.
    assert_eq!(get(port, &"x".repeat(9_000)).await, "");
    assert!(
        get(port, "GET /metrics HTTP/1.1\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
    );
    served.abort();
    assert!(telemetry::init(&settings).is_err(), "once per process");
}
