use posx_postgres::{Database, DatabaseOptions};
use posx_testkit::database;

use crate::world;

#[tokio::test]
async fn p41_only_the_app_role_has_the_posture_to_serve() {
    let app = world::database(1).await;
    assert_eq!(app.posture().await.expect("read").problems, Vec::<String>::new());
    assert_eq!(app.pending_migrations().await.expect("read"), 0);
    let others = [
        &database().superuser_url,
        &database().migrator_url,
        &database().jobs_url,
    ];
    for url in others {
        let other = Database::connect(
            url,
            DatabaseOptions {
                pool_size: 1,
                ..DatabaseOptions::default()
            },
        )
        .await
        .expect("connected");
        assert!(
            !other.posture().await.expect("read").is_sound(),
            "a role that is not posx_app"
        );
    }
}
