//! The program as an operator starts it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::support::Folder;

/// The program with nothing of this environment, and a database in a folder of its own.
pub fn wheelhouse(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheelhouse"));
    command
        .env_clear()
        .env("WHEELHOUSE_DATABASE_URL", url(folder))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("data/test.db").display())
}

pub fn said(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A bad value: status 2, and one line that names the variable.
pub fn refuses(output: &Output, variable: &str) {
    let (code, error) = said(output);
    assert_eq!(code, Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.starts_with(&format!("wheelhouse: {variable}: ")),
        "{error}"
    );
}

fn create_owner(folder: &Path, email: &str, password: &str) -> Output {
    let mut child = wheelhouse(folder)
        .arg("create-owner")
        .env("WHEELHOUSE_OWNER_EMAIL", email)
        .env("WHEELHOUSE_OWNER_NAME", "Olivia Owens")
        .args(["--workspace", "Acme", "--slug", "acme"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused already and not wait for a password.
    let _ = child.stdin.take().unwrap().write_all(password.as_bytes());
    child.wait_with_output().unwrap()
}

/// A server that is serving; killed when dropped.
pub struct Serving {
    child: Child,
    pub url: String,
    /// Held open: it goes on talking.
    _lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Serving {
    pub fn start(mut command: Command) -> Self {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let mut child = command
            .arg("serve")
            .env("WHEELHOUSE_ADDR", format!("0.0.0.0:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with("Wheelhouse is at "))
            .expect("it says where it is");
        Self {
            child,
            url: line["Wheelhouse is at ".len()..].to_owned(),
            _lines: lines,
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn migrate_makes_a_database_and_a_key_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    for _ in 0..2 {
        let output = wheelhouse(folder.path()).arg("migrate").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output).1);
        assert_eq!(output.stdout, b"The schema is up to date.\n");
    }
    assert!(folder.path().join("data/test.db").exists());
    let key = std::fs::metadata(folder.path().join("data/secret.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn create_owner_makes_an_account_from_options_and_variables() {
    let folder = Folder::new();
    let output = create_owner(
        folder.path(),
        "olivia@acme.example",
        "seven unrelated purple teapots\n",
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output).1);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "Olivia Owens <olivia@acme.example> owns Acme: http://127.0.0.1:3000/w/acme\n"
    );
    let again = create_owner(
        folder.path(),
        "olivia@acme.example",
        "seven unrelated purple teapots\n",
    );
    assert_eq!(again.status.code(), Some(1));
    let weak = create_owner(folder.path(), "adam@acme.example", "short\n");
    assert_eq!(weak.status.code(), Some(1));
    assert!(said(&weak).1.contains("password"), "{}", said(&weak).1);
    let bad = create_owner(folder.path(), "nobody", "seven unrelated purple teapots\n");
    refuses(&bad, "WHEELHOUSE_OWNER_EMAIL");
}

#[test]
fn what_cannot_be_used_is_named_in_one_line() {
    let folder = Folder::new();
    let run = |variable: &str, value: &str| {
        let output = wheelhouse(folder.path())
            .arg("migrate")
            .env(variable, value)
            .output()
            .unwrap();
        refuses(&output, variable);
    };
    run("WHEELHOUSE_ADDR", "nowhere");
    run("WHEELHOUSE_SITE_ROOT", "/no/such/folder");
    run("WHEELHOUSE_LOG", "wheelhouse=loudly");
    run("WHEELHOUSE_DATABASE_URL", "postgres://x:y@127.0.0.1:1/none");
    run("WHEELHOUSE_DATABASE_URL", "sqlite:///proc/none/test.db");
    let file = folder.path().join("a.db");
    std::fs::write(&file, "this is no database, but a text of some length").unwrap();
    run(
        "WHEELHOUSE_DATABASE_URL",
        &format!("sqlite://{}", file.display()),
    );
    let catalog = folder.path().join("catalog.toml");
    run("WHEELHOUSE_CATALOG", catalog.to_str().unwrap());
    let sold = include_str!("../../../crates/domain/src/catalog/catalog.toml");
    std::fs::write(&catalog, sold.replacen("price = 9900", "price = \"99\"", 1)).unwrap();
    let output = wheelhouse(folder.path())
        .arg("migrate")
        .env("WHEELHOUSE_CATALOG", &catalog)
        .output()
        .unwrap();
    refuses(&output, "WHEELHOUSE_CATALOG");
    assert!(
        said(&output).1.contains("plan 2, price"),
        "{}",
        said(&output).1
    );
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/secret.key"), "no key").unwrap();
    let output = wheelhouse(folder.path()).arg("migrate").output().unwrap();
    refuses(&output, "WHEELHOUSE_SECRET_KEY");
}

#[test]
fn a_served_demo_is_healthy_and_a_house_of_ones_own_is_no_demo() {
    let folder = Folder::new();
    let none = wheelhouse(folder.path())
        .arg("healthcheck")
        .env("WHEELHOUSE_ADDR", "127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(1), "nobody is there");
    for _ in 0..2 {
        let mut command = wheelhouse(folder.path());
        command.env("WHEELHOUSE_DEMO", "true");
        let serving = Serving::start(command);
        let health = wheelhouse(folder.path())
            .arg("healthcheck")
            .env(
                "WHEELHOUSE_ADDR",
                serving.url.strip_prefix("http://").unwrap(),
            )
            .output()
            .unwrap();
        assert_eq!(health.status.code(), Some(0), "{}", said(&health).1);
    }
    let proof = wheelhouse(folder.path())
        .arg("verify-ledger")
        .output()
        .unwrap();
    assert_eq!(proof.status.code(), Some(0), "{}", said(&proof).1);
    assert_eq!(proof.stdout, b"Every balance matches the ledger.\n");
    let none = wheelhouse(folder.path())
        .args([
            "refund-credits",
            "--entry",
            "cen_01h455vb4pex5vsknk084sn02q",
        ])
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(1), "{}", said(&none).1);
    let none = wheelhouse(folder.path())
        .args([
            "refund-payment",
            "--payment",
            "pay_01h455vb4pex5vsknk084sn02q",
        ])
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(1), "{}", said(&none).1);

    // A catalogue without the plan that Acme pays for.
    let catalog =
        include_str!("../../../crates/domain/src/catalog/catalog.toml").replace("scale", "large");
    let other = folder.path().join("other.toml");
    std::fs::write(&other, catalog).unwrap();
    let output = wheelhouse(folder.path())
        .arg("serve")
        .env("WHEELHOUSE_ADDR", "127.0.0.1:0")
        .env("WHEELHOUSE_CATALOG", &other)
        .output()
        .unwrap();
    refuses(&output, "WHEELHOUSE_CATALOG");
    assert!(said(&output).1.contains("scale"), "{}", said(&output).1);

    let own = Folder::new();
    create_owner(
        own.path(),
        "olivia@acme.example",
        "seven unrelated purple teapots\n",
    );
    let output = wheelhouse(own.path())
        .args(["serve", "--demo"])
        .env("WHEELHOUSE_ADDR", "127.0.0.1:0")
        .output()
        .unwrap();
    refuses(&output, "WHEELHOUSE_DEMO");
}
