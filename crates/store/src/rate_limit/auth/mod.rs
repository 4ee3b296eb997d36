//! Limits how often actions can be tried, to prevent password guessing, flooded inboxes and full disks.
//!
//! Limits apply per IP address *and* per account, so that neither one machine trying many accounts nor many machines
//! trying one gets far. They live in memory: a restart resets them, which is a fair price for no write per attempt.
//! Nobody can lock another person out: the limit per account counts only unknown networks (see
//! [`AuthLimits::sign_in`]).

mod key_lookups;
mod limiter;
mod limits;

pub use key_lookups::KeyCaller;
pub use limits::AuthLimits;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use domain::{ApiKeyId, AppError, Email, UserId, WorkspaceId};

    use super::*;
    use crate::rate_limit::network::network;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn elsewhere(n: u8) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, n))
    }

    #[test]
    fn guessing_one_account_from_one_place_ends_with_a_time_to_wait() {
        let limits = AuthLimits::on();
        let refused = (0..20).find_map(|_| limits.sign_in(HOME, "olivia@acme.example", true).err());
        assert!(
            matches!(
                refused,
                Some(AppError::RateLimited {
                    retry_after: 1..=21
                })
            ),
            "{refused:?}"
        );
        assert!(
            limits.sign_in(HOME, "adam@acme.example", true).is_ok(),
            "another account may still be tried"
        );
    }

    #[test]
    fn many_machines_cannot_lock_an_owner_out() {
        let limits = AuthLimits::on();
        for n in 0..=255 {
            let _ = limits.sign_in(elsewhere(n), "olivia@acme.example", false);
        }
        assert!(
            limits
                .sign_in(elsewhere(7), "olivia@acme.example", false)
                .is_err()
        );
        assert!(limits.sign_in(HOME, "olivia@acme.example", true).is_ok());
    }

    #[test]
    fn a_stranger_does_not_use_up_the_reset_mail_of_someone_at_home() {
        let limits = AuthLimits::on();
        while limits
            .mail(elsewhere(1), "olivia@acme.example", false)
            .is_ok()
        {}
        assert!(
            limits
                .mail(elsewhere(2), "olivia@acme.example", false)
                .is_err()
        );
        assert!(limits.mail(HOME, "olivia@acme.example", true).is_ok());
    }

    #[test]
    fn inviting_is_limited_by_person_workspace_and_recipient() {
        let limits = AuthLimits::on();
        let (olivia, adam, acme, globex) = (
            UserId::new(),
            UserId::new(),
            WorkspaceId::new(),
            WorkspaceId::new(),
        );
        let address = |n: usize| Email::parse(&format!("p{n}@new.example")).unwrap();
        let sent = (0..100)
            .take_while(|&n| limits.invite(olivia, acme, &address(n)).is_ok())
            .count();
        assert!((60..70).contains(&sent), "{sent} at once");
        assert!(
            limits.invite(olivia, globex, &address(200)).is_err(),
            "she did not stop being herself"
        );
        assert!(
            limits.invite(adam, acme, &address(201)).is_err(),
            "the workspace has sent enough"
        );
        let (greta, hank) = (UserId::new(), UserId::new());
        let bothered = (0..10)
            .take_while(|_| {
                limits
                    .invite(greta, WorkspaceId::new(), &address(300))
                    .is_ok()
            })
            .count();
        assert_eq!(bothered, 5);
        assert!(
            limits
                .invite(hank, WorkspaceId::new(), &address(300))
                .is_err()
        );
        assert!(
            limits
                .invite(hank, WorkspaceId::new(), &address(301))
                .is_ok()
        );
    }

    #[tokio::test]
    async fn unknown_keys_are_refused_and_a_lookup_never_is() {
        let limits = AuthLimits::on();
        let attacker = KeyCaller::Network(elsewhere(7));
        assert!(limits.key_lookup(attacker).await.is_none());
        let refused = (0..100).find_map(|_| limits.unknown_key(attacker).err());
        assert!(matches!(refused, Some(AppError::RateLimited { .. })));
        let turn = limits.key_lookup(attacker).await;
        assert!(turn.is_some(), "whoever guesses is looked up one at a time");
        let next = limits.key_lookup(KeyCaller::Network(elsewhere(7)));
        let waits = tokio::time::timeout(Duration::from_millis(20), next).await;
        assert!(waits.is_err(), "the next one waits");
        assert!(
            limits.key_lookup(KeyCaller::Network(HOME)).await.is_none(),
            "nobody else waits"
        );
        drop(turn);
        assert!(limits.key_lookup(attacker).await.is_some());
    }

    #[tokio::test]
    async fn a_program_that_asks_about_unknown_keys_is_counted_by_its_own_key() {
        let limits = AuthLimits::on();
        let (busy, quiet) = (ApiKeyId::new(), ApiKeyId::new());
        for _ in 0..100 {
            assert!(limits.unknown_key(KeyCaller::Key(busy)).is_ok());
        }
        assert!(limits.key_lookup(KeyCaller::Key(busy)).await.is_some());
        assert!(limits.key_lookup(KeyCaller::Key(quiet)).await.is_none());
        assert!(limits.key_lookup(KeyCaller::Network(HOME)).await.is_none());
    }

    #[test]
    fn a_whole_ipv6_network_is_one_place() {
        assert_eq!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8::ffff:2".parse().unwrap())
        );
        assert_ne!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8:0:1::1".parse().unwrap())
        );
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1");
    }
}
