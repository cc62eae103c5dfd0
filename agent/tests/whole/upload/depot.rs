//! An API and an object storage in one, as an upload sees them: parts are kept in memory, addresses are good for one try,
//! and every request can be made to fail.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use contract::id::hex;
use contract::problem::{Problem, ProblemCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The size of every part but the last.
pub(super) const PART: u64 = 100_000;

/// What happens to a request instead of its answer.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// This answer, after the whole request was read.
    Answer(u16, String),
    /// The connection is closed in the middle of the request's body.
    Reset,
    /// This status, before the request's body was read; then the connection is closed, as storages do.
    Early(u16),
    /// The API's refusal.
    Problem(ProblemCode),
}

/// Decides about a request by its method and path.
type Lever = Box<dyn FnMut(&str, &str) -> Option<Fault> + Send>;

#[derive(Default)]
pub(super) struct State {
    /// Finished objects by key.
    pub(super) objects: HashMap<String, Vec<u8>>,
    /// Method and path of every request, in order.
    pub(super) requests: Vec<String>,
    /// The addresses that were given out and not used.
    addresses: HashMap<String, (String, u32)>,
    uploads: HashMap<String, Upload>,
    lever: Option<Lever>,
    /// The answer to every beginning: keep the file.
    pub(super) keep: bool,
    /// So many objects are spoilt before they are verified.
    pub(super) spoil: u32,
    /// So many times the API says that it still verifies.
    pub(super) verify_slowly: u32,
}

struct Upload {
    size: u64,
    sha256: String,
    parts: BTreeMap<u32, Vec<u8>>,
    verified: bool,
}

#[derive(Clone)]
pub(super) struct Depot {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

impl Depot {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let depot = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let serving = depot.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let depot = serving.clone();
                thread::spawn(move || depot.serve(connection));
            }
        });
        depot
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on `lever` decides which requests fail.
    pub(super) fn pull(&self, lever: impl FnMut(&str, &str) -> Option<Fault> + Send + 'static) {
        self.state().lever = Some(Box::new(lever));
    }

    /// Requests with this method and a path that begins so.
    pub(super) fn count(&self, method: &str, path: &str) -> usize {
        let start = format!("{method} {path}");
        self.state().requests.iter().filter(|request| request.starts_with(&start)).count()
    }

    fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let mut writer = connection;
        loop {
            let (method, path, length) = head(&mut reader)?;
            let fault = {
                let mut state = self.state();
                state.requests.push(format!("{method} {path}"));
                state.lever.as_mut().and_then(|lever| lever(&method, &path))
            };
            if let Some(Fault::Early(status)) = fault {
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                writer.write_all(head.as_bytes()).ok()?;
                return None;
            }
            let read = if matches!(fault, Some(Fault::Reset)) { length / 2 } else { length };
            let mut body = vec![0; read];
            reader.read_exact(&mut body).ok()?;
            let (status, body) = match fault {
                Some(Fault::Reset | Fault::Early(_)) => return None,
                Some(Fault::Answer(status, body)) => (status, body),
                Some(Fault::Problem(code)) => problem(code),
                None => self.answer(&Request { method, path, body }),
            };
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nretry-after: 0\r\n\r\n{body}",
                body.len()
            );
            writer.write_all(head.as_bytes()).ok()?;
        }
    }

    fn answer(&self, request: &Request) -> (u16, String) {
        let json = || serde_json::from_slice::<Value>(&request.body).unwrap();
        let steps: Vec<&str> = request.path.split('/').skip(1).collect();
        let mut state = self.state();
        match (request.method.as_str(), steps.as_slice()) {
            ("POST", ["v1", "recordings", "uploads"]) => state.begin(&json()),
            ("POST", ["v1", "recordings", "uploads", id, "parts"]) => state.parts(self.address, id, &json()),
            ("POST", ["v1", "recordings", "uploads", id, "complete"]) => state.complete(id, &json()),
            ("DELETE", ["v1", "recordings", "uploads", id]) => {
                state.uploads.remove(*id);
                (200, json!({"status": "aborted"}).to_string())
            }
            ("PUT", ["storage", address]) => match state.addresses.remove(*address) {
                None => (403, "<Error><Code>AccessDenied</Code></Error>".into()),
                Some((id, number)) => match state.uploads.get_mut(&id) {
                    None => (404, "<Error><Code>NoSuchUpload</Code></Error>".into()),
                    Some(upload) => {
                        upload.parts.insert(number, request.body.clone());
                        (200, String::new())
                    }
                },
            },
            _ => problem(ProblemCode::NotFound),
        }
    }
}

impl State {
    fn begin(&mut self, request: &Value) -> (u16, String) {
        if self.keep {
            let keep = json!({"decision": "keep", "reason": "recording_type_local", "message": "local"});
            return (200, keep.to_string());
        }
        let (size, sha256) = (request["size_bytes"].as_u64().unwrap(), request["sha256"].as_str().unwrap());
        let (_, id) = request["id"].as_str().unwrap().split_once('_').unwrap();
        let id = format!("upl_{id}");
        let upload = self.uploads.entry(id.clone()).or_insert_with(|| Upload::of(size, sha256));
        if (upload.size, upload.sha256.as_str()) != (size, sha256) {
            *upload = Upload::of(size, sha256);
        }
        let state = if upload.verified { "verified" } else { "open" };
        let reply = json!({
            "decision": "upload", "upload_id": id, "state": state, "bucket": "bucket", "object_key": key(&id),
            "part_size_bytes": PART, "part_count": upload.size.div_ceil(PART).max(1),
        });
        (200, reply.to_string())
    }

    fn parts(&mut self, here: SocketAddr, id: &str, request: &Value) -> (u16, String) {
        let Some(upload) = self.uploads.get(id) else { return problem(ProblemCode::UploadNotFound) };
        let mut urls = Vec::new();
        for number in request["numbers"].as_array().unwrap() {
            let number = u32::try_from(number.as_u64().unwrap()).unwrap();
            let address = format!("{id}-{number}-{}", self.requests.len());
            self.addresses.insert(address.clone(), (id.to_owned(), number));
            let url = format!("http://{here}/storage/{address}");
            urls.push(json!({"number": number, "url": url, "expires_at": "2100-01-01T00:00:00.000Z"}));
        }
        let mut reply = json!({"urls": urls});
        if request["list_stored"] == true {
            let stored = upload.parts.iter().map(|(n, part)| json!({"number": n, "size_bytes": part.len()}));
            reply["stored"] = stored.collect();
        }
        (200, reply.to_string())
    }

    fn complete(&mut self, id: &str, request: &Value) -> (u16, String) {
        let Some(upload) = self.uploads.get_mut(id) else { return problem(ProblemCode::UploadNotFound) };
        if self.verify_slowly > 0 {
            self.verify_slowly -= 1;
            return (202, json!({"state": "verifying"}).to_string());
        }
        let mut object: Vec<u8> = upload.parts.values().flatten().copied().collect();
        if object.len() as u64 != upload.size || upload.parts.is_empty() {
            return problem(ProblemCode::UploadIncomplete);
        }
        if self.spoil > 0 {
            self.spoil -= 1;
            object.push(0);
        }
        let sha256 = hex(&Sha256::digest(&object));
        if request["sha256"] != upload.sha256 || sha256 != upload.sha256 {
            self.uploads.remove(id);
            return problem(ProblemCode::ChecksumMismatch);
        }
        upload.verified = true;
        let reply = json!({
            "state": "verified", "bucket": "bucket", "object_key": key(id), "size_bytes": object.len(), "sha256": sha256,
        });
        self.objects.insert(key(id), object);
        (200, reply.to_string())
    }
}

impl Upload {
    fn of(size: u64, sha256: &str) -> Self {
        Self { size, sha256: sha256.to_owned(), parts: BTreeMap::new(), verified: false }
    }
}

/// The key of an upload's object.
fn key(id: &str) -> String {
    format!("key/{id}")
}

fn problem(code: ProblemCode) -> (u16, String) {
    (code.status(), serde_json::to_string(&Problem::new(code, "because")).unwrap())
}

/// Method, path and body length of the next request.
fn head(reader: &mut impl BufRead) -> Option<(String, String, usize)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            return Some((method, path, length));
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
}
