//! Who serves the model: the same format, with other rims.

/// A place where the Messages API is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hosting {
    /// Anthropic itself, and whoever copies its API: Bedrock's Mantle, the Claude platform on AWS.
    Direct,
    /// Azure AI Foundry: the model is a deployment.
    Foundry,
    /// Vertex AI: the model is in the path, betas are in the body.
    Vertex,
    /// Bedrock's InvokeModel: the model and whether it streams are in the path, betas are in the body.
    Bedrock,
}

/// Betas that other hosts than Anthropic and Foundry know; they refuse a request that names another one.
const ELSEWHERE: [&str; 9] = [
    "computer-use-",
    "context-1m-",
    "context-management-",
    "compact-",
    "interleaved-thinking-",
    "output-128k-",
    "token-efficient-tools-",
    "tool-search-",
    "fine-grained-tool-streaming-",
];

impl Hosting {
    /// What the body names as the version, where no header does.
    pub(super) fn version(self) -> Option<&'static str> {
        match self {
            Hosting::Direct | Hosting::Foundry => None,
            Hosting::Vertex => Some("vertex-2023-10-16"),
            Hosting::Bedrock => Some("bedrock-2023-05-31"),
        }
    }

    /// Whether the body names the model.
    pub(super) fn names_model(self) -> bool {
        matches!(self, Hosting::Direct | Hosting::Foundry)
    }

    /// Whether the body says that it streams.
    pub(super) fn says_stream(self) -> bool {
        self != Hosting::Bedrock
    }

    /// Whether images and documents may be given by their address.
    pub(super) fn takes_urls(self) -> bool {
        self.names_model()
    }

    /// Whether files may be given by the id of an upload.
    pub(super) fn takes_files(self) -> bool {
        self.names_model()
    }

    /// Whether a schema can be said other than by a tool.
    pub(super) fn takes_schemas(self) -> bool {
        self.names_model()
    }

    /// Whether it searches the web.
    pub(super) fn searches(self) -> bool {
        self != Hosting::Bedrock
    }

    /// Whether a beta can be asked for.
    pub(super) fn knows(self, beta: &str) -> bool {
        self.names_model() || ELSEWHERE.iter().any(|known| beta.starts_with(known))
    }
}
