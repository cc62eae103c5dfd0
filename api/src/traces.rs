//! One span for each request, for whoever collects them with OpenTelemetry; nothing at all unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
//!
//! Spans go out in batches from a thread of the library's own. When the collector is away, or slower than requests come, spans are
//! lost and requests are not held up. What else the library reads from the environment (`OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER` …) holds.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;

const NAME: &str = "reflector-api";

/// How long one batch may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of the process waits for the last batch.
const FAREWELL: Duration = Duration::from_secs(3);

/// The way out for spans, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Sending>);

#[derive(Debug, Clone)]
struct Sending {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A request that has been answered.
#[derive(Debug)]
pub struct Answered<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The template of its route.
    pub route: &'a str,
    /// The answer's status.
    pub status: StatusCode,
    /// When it came.
    pub came_at: SystemTime,
    /// What it is called in the log.
    pub request_id: String,
}

impl Traces {
    /// Sends spans to the collector at `endpoint`, if there is one. Needs a runtime to send them on.
    pub fn start(endpoint: Option<&str>) -> anyhow::Result<Self> {
        let Some(endpoint) = endpoint else { return Ok(Self::default()) };
        // Another part of the process may have chosen already; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { client, runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(TIMEOUT)
            .build()
            .context("the collector of OTEL_EXPORTER_OTLP_ENDPOINT cannot be used")?;
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => Resource::builder().build(),
            None => Resource::builder().with_service_name(NAME).build(),
        };
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer(NAME);
        Ok(Self(Some(Sending { provider, tracer })))
    }

    /// The span that a request says to be a part of; `None` where nobody collects spans.
    pub fn parent(&self, headers: &HeaderMap) -> Option<Context> {
        self.0.as_ref()?;
        let nobody = Context::new();
        Some(TraceContextPropagator::new().extract_with_context(&nobody, &HeaderExtractor(headers)))
    }

    /// Tells of a request that has been answered.
    pub fn tell(&self, parent: &Context, answered: &Answered<'_>) {
        let Some(Sending { tracer, .. }) = &self.0 else { return };
        let Answered { method, route, status, came_at, request_id } = answered;
        let attributes = [
            KeyValue::new("http.request.method", method.to_string()),
            KeyValue::new("http.route", (*route).to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            KeyValue::new("request.id", request_id.clone()),
        ];
        let mut span = SpanBuilder::from_name(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_start_time(*came_at)
            .with_attributes(attributes)
            .start_with_context(tracer, parent);
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
        span.end();
    }

    /// Sends what is left.
    pub async fn stop(self) {
        let Some(Sending { provider, .. }) = self.0 else { return };
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FAREWELL)).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::debug!("the last spans were not sent");
        }
    }
}

/// The service's HTTP client, for a thread that knows no runtime.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime
            .spawn(async move {
                let answer = client.execute(request.try_into()?).await?;
                let status = answer.status();
                let mut response = Response::new(answer.bytes().await?);
                *response.status_mut() = status;
                Ok(response)
            })
            .await?
    }
}
