//! Password hashing: Argon2id, a few hashes at a time.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use domain::{AppError, Secret, check_new_password};
use tokio::sync::Semaphore;

/// OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The minimum zxcvbn score of a new password, from 0 to 4. A score of 3 means more than 10^8 guesses. No entry of
/// zxcvbn's lists of common and breached passwords, names and keyboard patterns reaches it.
const LEAST_STRENGTH: zxcvbn::Score = zxcvbn::Score::Three;
/// The minimum length of a password without the person's own words. zxcvbn alone accepts a row of names.
const LEAST_BESIDE_NAMES: usize = 8;

/// Hashes and checks passwords. Each run takes 19 MiB and a core for tens of milliseconds, so only a few run at the
/// same time and the rest queue: two hundred simultaneous sign-ins cost time, not memory.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    params: Params,
    /// The hash that an unknown email address is checked against, so that it takes as long as a known one.
    decoy: Arc<str>,
}

impl Passwords {
    /// `at_once`: how many hashes may run at the same time.
    pub fn new(at_once: usize) -> Self {
        Self::with_params(
            at_once,
            Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in range"),
        )
    }

    /// The weakest parameters that Argon2 allows, for tests that sign in often and demo data created at start.
    pub fn quick_for_tests() -> Self {
        Self::with_params(
            4,
            Params::new(Params::MIN_M_COST, 1, 1, None).expect("the parameters are in range"),
        )
    }

    fn with_params(at_once: usize, params: Params) -> Self {
        let mut this = Self {
            permits: Arc::new(Semaphore::new(at_once)),
            params,
            decoy: Arc::from(""),
        };
        let decoy = this
            .argon2()
            .hash_password(b"nobody has this password")
            .expect("hashing works");
        this.decoy = Arc::from(decoy.to_string());
        this
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    pub async fn hash(&self, password: &Secret) -> Result<String, AppError> {
        let (this, password) = (self.clone(), password.clone());
        self.run(move || {
            this.argon2()
                .hash_password(password.expose().as_bytes())
                .map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| domain::internal("hashing a password", &error))
    }

    /// Whether `password` belongs to `hash`. Without a hash (no such account) it takes as long and returns false.
    pub async fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, AppError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let (this, password) = (self.clone(), password.clone());
        let matches = self
            .run(move || {
                PasswordHash::new(&hash).is_ok_and(|hash| {
                    this.argon2()
                        .verify_password(password.expose().as_bytes(), &hash)
                        .is_ok()
                })
            })
            .await?;
        Ok(matches && known)
    }

    /// Whether `hash` was made with weaker parameters than today's and should be renewed at this sign-in.
    pub fn is_outdated(&self, hash: &str) -> bool {
        PasswordHash::new(hash)
            .ok()
            .and_then(|hash| Params::try_from(&hash).ok())
            .is_none_or(|params| {
                params.m_cost() < self.params.m_cost()
                    || params.t_cost() < self.params.t_cost()
                    || params.p_cost() < self.params.p_cost()
            })
    }

    /// Checks a new password's length, and that it is not commonly used. `about` contains words that must not count as
    /// strength: the person's name and email address.
    pub async fn check_new(&self, password: &Secret, about: &[&str]) -> Result<(), String> {
        check_new_password(password.expose()).map_err(|error| error.to_string())?;
        // As a whole and word by word: `olivia.owens1` is her name in any combination.
        let about: Vec<String> = about
            .iter()
            .flat_map(|text| {
                let words = text.split(|c: char| !c.is_alphanumeric());
                words.chain([*text]).filter(|word| word.len() > 2)
            })
            .chain(["wheelhouse"])
            .map(str::to_owned)
            .collect();
        let password = password.clone();
        let strong = self
            .run(move || {
                let inputs: Vec<&str> = about.iter().map(String::as_str).collect();
                let own = about
                    .iter()
                    .fold(password.expose().to_lowercase(), |rest, word| {
                        rest.replace(&word.to_lowercase(), "")
                    });
                own.chars().count() >= LEAST_BESIDE_NAMES
                    && zxcvbn::zxcvbn(password.expose(), &inputs).score() >= LEAST_STRENGTH
            })
            .await
            .unwrap_or(false);
        if strong {
            Ok(())
        } else {
            Err("This password is too easy to guess. Try a few unrelated words.".to_owned())
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let permit = self
            .permits
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .map_err(|error| domain::internal("a blocking task", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_with_the_recommended_parameters() {
        let passwords = Passwords::new(1);
        let hash = passwords
            .hash(&Secret::from("correct horse battery staple"))
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify(&Secret::from("correct horse battery staple"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(&Secret::from("correct horse battery stable"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(!passwords.is_outdated(&hash));
        let weak = Passwords::quick_for_tests()
            .hash(&Secret::from("x"))
            .await
            .unwrap();
        assert!(passwords.is_outdated(&weak));
    }

    #[tokio::test]
    async fn nobody_s_password_is_never_right() {
        let passwords = Passwords::quick_for_tests();
        assert!(
            !passwords
                .verify(&Secret::from("nobody has this password"), None)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn common_passwords_and_the_person_s_own_words_are_refused() {
        let passwords = Passwords::quick_for_tests();
        for weak in [
            "password1234",
            "123456789012",
            "qwertyuiop123",
            "olivia.owens1",
            "short",
        ] {
            let result = passwords
                .check_new(
                    &Secret::from(weak),
                    &["Olivia Owens", "olivia.owens@acme.example"],
                )
                .await;
            assert!(result.is_err(), "{weak} was accepted");
        }
        for strong in [
            "correct horse battery staple",
            "Ünïcödé ist schön genug",
            "k3#vQ9!zLm2pX",
        ] {
            assert_eq!(
                passwords.check_new(&Secret::from(strong), &[]).await,
                Ok(()),
                "{strong}"
            );
        }
    }
}
