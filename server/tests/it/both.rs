//! Every test that stands in `both!` runs on SQLite and on PostgreSQL.

/// A test that runs on both databases.
macro_rules! both {
    ($(async fn $name:ident($server:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every test needs all that its file brings in")]
            use super::*;

            async fn test($server: &$crate::support::Server) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                test(&$crate::support::Server::new($crate::support::Kind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                test(&$crate::support::Server::new($crate::support::Kind::Postgres).await).await;
            }
        }
    )*};
}
pub(crate) use both;
