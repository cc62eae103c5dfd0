use std::io;
use std::path::Path;

use super::*;

const JWT: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0";
const WEBHOOK: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";

fn read(variables: &[(&str, &str)]) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read_file = |path: &Path| match path.to_str() {
        Some("/keys/public.pem") => Ok(include_bytes!("../../tests/keys/rsa_public.pem").to_vec()),
        Some("/keys/private.pem") => Ok(include_bytes!("../../tests/keys/rsa_private.pem").to_vec()),
        Some("/keys/empty") => Ok(Vec::new()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    Config::read(&variables, &Surroundings { read_file: &read_file, is_root: false })
}

fn config(variables: &[(&str, &str)]) -> Config {
    read(variables).unwrap().0
}

fn found(findings: &[Finding]) -> Vec<(&str, Severity)> {
    findings.iter().map(|finding| (finding.variable.as_str(), finding.severity)).collect()
}

#[test]
fn without_any_variable_it_runs_on_this_host_alone_and_says_what_will_not_work() {
    let (config, warnings) = read(&[("HOME", "/home/ann")]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:1250");
    assert_eq!(config.database, Database::Embedded);
    assert_eq!(config.state_dir, Path::new("/home/ann/.local/state/reflector-api"));
    assert_eq!(config.cors, Cors { origins: None, credentials: false });
    assert!(matches!(config.auth, Auth::None) && !config.public_mode);
    assert_eq!(config.jitsi.meetings.unwrap_err(), ["JITSI_DOMAIN", "JITSI_JWT_SECRET"]);
    assert_eq!(
        found(&warnings),
        ["JITSI_WEBHOOK_SECRET", "JITSI_DOMAIN", "AUTH_BACKEND"].map(|name| (name, Severity::Warning))
    );
}

#[test]
fn the_guides_variables_are_a_complete_configuration() {
    let (config, findings) = read(&[
        ("JITSI_DOMAIN", "Meet.Example.com"),
        ("JITSI_JWT_SECRET", JWT),
        ("JITSI_WEBHOOK_SECRET", WEBHOOK),
        ("JITSI_APP_ID", "reflector"),
        ("JITSI_JWT_ISSUER", "reflector"),
        ("JITSI_JWT_AUDIENCE", "jitsi"),
    ])
    .unwrap();
    assert_eq!(found(&findings), [("AUTH_BACKEND", Severity::Warning)], "nobody can make rooms yet");
    let meetings = config.jitsi.meetings.unwrap();
    assert_eq!((meetings.domain.as_str(), meetings.lifetime.as_secs()), ("meet.example.com", 8 * 3600));
    assert_eq!((meetings.issuer.as_str(), meetings.audience.as_str()), ("reflector", "jitsi"));
    assert_eq!(meetings.signing_key, SigningKey::Shared(Secret::new(JWT)));
}

#[test]
fn everything_that_is_wrong_is_found_at_once_and_no_secret_is_repeated() {
    let findings = read(&[
        ("JITSI_DOMAIN", "https://meet.example.com/"),
        ("JITSI_JWT_SECRET", "your-64-character-hex-secret-here"),
        ("JITSI_WEBHOOK_SECRET", "hunter2, your-webhook-secret-here"),
        ("JITSI_REQUIRE_TIMESTAMP", "perhaps"),
        ("JITSI_JWT_LIFETIME_SECONDS", "0"),
        ("DATABASE_URL", "mysql://root:hunter2@localhost/reflector"),
        ("AUTH_BACKEND", "ldap"),
        ("CORS_ORIGIN", "reflector.example.com"),
        ("ROOT_PATH", "server-api"),
        ("RUST_LOG", "api=loud"),
        ("REFLECTOR_API_LISTEN", "1250"),
        ("REFLECTOR_API_STATE_DIR", "state"),
        ("REFLECTOR_API_LOG_FORMAT", "xml"),
        ("REFLECTOR_API_LISTENN", "127.0.0.1:1250"),
        ("REFLECTOR_API_URL", "https://reflector.example.com"),
    ])
    .unwrap_err();
    let mut errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.variable.as_str())
        .collect();
    errors.sort_unstable();
    let expected = [
        "AUTH_BACKEND",
        "CORS_ORIGIN",
        "DATABASE_URL",
        "JITSI_DOMAIN",
        "JITSI_JWT_LIFETIME_SECONDS",
        "JITSI_JWT_SECRET",
        "JITSI_REQUIRE_TIMESTAMP",
        "JITSI_WEBHOOK_SECRET",
        "JITSI_WEBHOOK_SECRET",
        "REFLECTOR_API_LISTEN",
        "REFLECTOR_API_LISTENN",
        "REFLECTOR_API_LOG_FORMAT",
        "REFLECTOR_API_STATE_DIR",
        "ROOT_PATH",
        "RUST_LOG",
    ];
    assert_eq!(errors, expected);
    let text = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("openssl rand -hex 32") && text.contains("openssl rand -hex 16"), "{text}");
}

#[test]
fn a_misspelt_name_hides_nothing_and_what_is_wrong_is_not_called_missing() {
    let findings = read(&[
        ("OPS_PASSWORD", "abc"),
        ("REFLECTOR_API_LSTEN", "127.0.0.1:1250"),
        ("JITSI_WEBHOOK_SECRET", WEBHOOK),
        ("JITSI_DOMAIN", "meet.example.com"),
        ("JITSI_JWT_SECRET", "short"),
        ("RUST_LOG", "nonsense"),
    ])
    .unwrap_err();
    let expected = [
        ("JITSI_JWT_SECRET", Severity::Error),
        ("AUTH_BACKEND", Severity::Warning),
        ("OPS_PASSWORD", Severity::Error),
        ("RUST_LOG", Severity::Error),
        ("REFLECTOR_API_LSTEN", Severity::Error),
    ];
    assert_eq!(found(&findings), expected);
}

#[test]
fn not_every_site_gets_what_browsers_send_along() {
    let credentials = ("CORS_ALLOW_CREDENTIALS", "true");
    for variables in [vec![credentials], vec![credentials, ("CORS_ORIGIN", "https://a.example, *")]] {
        let findings = read(&variables).unwrap_err();
        assert!(found(&findings).contains(&("CORS_ALLOW_CREDENTIALS", Severity::Error)), "{findings:?}");
    }
    assert!(config(&[credentials, ("CORS_ORIGIN", "https://a.example")]).cors.credentials);
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let config = config(&[("DATABASE_URL", ""), ("AUTH_JWT_AUDIENCE", " "), ("CORS_ORIGIN", "")]);
    assert_eq!((config.database, config.cors.origins), (Database::Embedded, None));
}

#[test]
fn a_database_address_loses_the_driver_that_sqlalchemy_needs() {
    for (given, expected) in [
        ("postgresql+asyncpg://u:p@h:5432/d", "postgresql://u:p@h:5432/d"),
        ("postgres://u@h/d?sslmode=require", "postgres://u@h/d?sslmode=require"),
        ("postgresql+asyncpg://u@h/d?ssl=require", "postgresql://u@h/d?sslmode=require"),
        ("postgres://u@h/d?options[geqo]=off", "postgres://u@h/d?options[geqo]=off"),
    ] {
        assert_eq!(config(&[("DATABASE_URL", given)]).database, Database::Server(Secret::new(expected)));
    }
}

#[test]
fn a_parameter_of_the_database_address_that_is_not_known_is_named_and_left_out() {
    let (config, warnings) =
        read(&[("DATABASE_URL", "postgres://u@h/d?command_timeout=hunter2&sslmode=require&pool")]).unwrap();
    assert_eq!(config.database, Database::Server(Secret::new("postgres://u@h/d?sslmode=require")));
    let text = warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("\"command_timeout\"") && text.contains("\"pool\""), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let findings = read(&[("DATABASE_URL", "postgres://u@h/d?ssl=perhaps")]).unwrap_err();
    assert!(found(&findings).contains(&("DATABASE_URL", Severity::Error)));
}

#[test]
fn bytes_that_are_no_text_are_found_where_they_are_read_and_nowhere_else() {
    let findings = read(&[("AUTH_BACKEND", "none\u{fffd}"), ("SOMEBODY_ELSES", "\u{fffd}")]).unwrap_err();
    let text = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(text.matches("holds bytes").count(), 1, "{text}");
    assert!(text.contains("AUTH_BACKEND: holds bytes that are no UTF-8"), "{text}");
    assert!(!text.contains("SOMEBODY_ELSES"), "{text}");
    assert!(read(&[("REFLECTOR_API_STATE_DIR", "/srv"), ("HOME", "\u{fffd}")]).is_ok());
}

#[test]
fn bearer_tokens_need_one_key_and_an_algorithm_that_goes_with_it() {
    let shared = ("AUTH_JWT_SECRET", JWT);
    let pem = ("AUTH_JWT_PUBLIC_KEY", "/keys/public.pem");
    let jwks = ("AUTH_JWT_JWKS_URL", "https://id.example.com/keys");
    for (variables, expected) in [
        (vec![shared], Ok("HS256")),
        (vec![pem], Ok("RS256")),
        (vec![jwks], Ok("RS256")),
        (vec![jwks, ("AUTH_JWT_ALGORITHM", "ES256")], Ok("ES256")),
        (vec![], Err("AUTH_BACKEND")),
        (vec![shared, pem], Err("AUTH_JWT_PUBLIC_KEY")),
        (vec![shared, ("AUTH_JWT_ALGORITHM", "RS256")], Err("AUTH_JWT_ALGORITHM")),
        (vec![pem, ("AUTH_JWT_ALGORITHM", "HS256")], Err("AUTH_JWT_ALGORITHM")),
        (vec![pem, ("AUTH_JWT_ALGORITHM", "none")], Err("AUTH_JWT_ALGORITHM")),
        (vec![("AUTH_JWT_SECRET", "short")], Err("AUTH_JWT_SECRET")),
        (vec![("AUTH_JWT_PUBLIC_KEY", "/keys/missing.pem")], Err("AUTH_JWT_PUBLIC_KEY")),
        (vec![("AUTH_JWT_PUBLIC_KEY", "/keys/empty")], Err("AUTH_JWT_PUBLIC_KEY")),
        (vec![("AUTH_JWT_JWKS_URL", "id.example.com")], Err("AUTH_JWT_JWKS_URL")),
        (vec![shared, ("AUTH_JWT_LEEWAY_SECONDS", "61")], Err("AUTH_JWT_LEEWAY_SECONDS")),
    ] {
        let mut all = vec![("AUTH_BACKEND", "jwt")];
        all.extend(variables);
        match (read(&all), expected) {
            (Ok((config, _)), Ok(algorithm)) => {
                let Auth::Jwt(bearer) = config.auth else { panic!("{all:?}") };
                assert_eq!(format!("{:?}", bearer.algorithm), algorithm, "{all:?}");
            }
            (Err(findings), Err(variable)) => {
                let errors: Vec<_> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
                assert_eq!(errors.len(), 1, "{all:?}: {errors:?}");
                assert_eq!(errors[0].variable, variable, "{all:?}");
            }
            (result, _) => {
                panic!("{all:?}: {:?}", result.map(|_| ()).map_err(|findings| found(&findings).len()))
            }
        }
    }
}

#[test]
fn jitsi_tokens_may_be_signed_with_a_private_key() {
    let domain = ("JITSI_DOMAIN", "meet.example.com");
    let key = ("JITSI_JWT_PRIVATE_KEY_FILE", "/keys/private.pem");
    let meetings = config(&[domain, key, ("JITSI_JWT_KEY_ID", "k1")]).jitsi.meetings.unwrap();
    assert!(matches!(meetings.signing_key, SigningKey::Rsa { key_id, .. } if key_id == "k1"));
    let findings = read(&[domain, key]).unwrap_err();
    assert!(found(&findings).contains(&("JITSI_JWT_KEY_ID", Severity::Error)));
    let other = ("JITSI_JWT_PRIVATE_KEY_FILE", "/keys/public.pem");
    let findings = read(&[domain, other, ("JITSI_JWT_KEY_ID", "k1")]).unwrap_err();
    assert!(found(&findings).contains(&("JITSI_JWT_PRIVATE_KEY_FILE", Severity::Error)));
}

#[test]
fn tokens_name_the_app_that_prosody_expects() {
    let base = [
        ("JITSI_DOMAIN", "meet.example.com"),
        ("JITSI_JWT_SECRET", JWT),
        ("JITSI_WEBHOOK_SECRET", WEBHOOK),
        ("AUTH_BACKEND", "jwt"),
        ("AUTH_JWT_SECRET", JWT),
    ];
    for (changes, issuer, warns) in [
        (vec![], "reflector", false),
        (vec![("JITSI_APP_ID", "app")], "app", false),
        (vec![("JITSI_JWT_ISSUER", "iss")], "iss", false),
        (vec![("JITSI_APP_ID", "app"), ("JITSI_JWT_ISSUER", "iss")], "iss", true),
    ] {
        let (config, warnings) = read(&[&base[..], &changes].concat()).unwrap();
        assert_eq!(config.jitsi.meetings.unwrap().issuer, issuer, "{changes:?}");
        assert_eq!(!warnings.is_empty(), warns, "{changes:?}");
    }
}

#[test]
fn the_state_directory_suits_the_user() {
    for (variables, expected) in [
        (vec![("REFLECTOR_API_STATE_DIR", "/srv/api"), ("HOME", "/home/ann")], "/srv/api"),
        (
            vec![("STATE_DIRECTORY", "/var/lib/reflector-api"), ("HOME", "/home/ann")],
            "/var/lib/reflector-api",
        ),
        (vec![("XDG_STATE_HOME", "/home/ann/state"), ("HOME", "/home/ann")], "/home/ann/state/reflector-api"),
        (vec![("XDG_STATE_HOME", "relative"), ("HOME", "/home/ann")], "/home/ann/.local/state/reflector-api"),
        (vec![], "/var/lib/reflector-api"),
    ] {
        assert_eq!(config(&variables).state_dir, Path::new(expected), "{variables:?}");
    }
}
