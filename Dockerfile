# A small image of the gateway: built from source, one binary on a plain base, no root, no shell needed.
#
#   docker build --tag ferrogw .
#   docker run --rm --publish 8080:8080 --env MASTER_KEY --env OPENAI_API_KEY ferrogw
#
# Both bases can be replaced; the runtime base needs glibc and nothing else (a distroless "cc" image will do).
ARG BUILD_BASE=rust:1.95-bookworm
ARG RUNTIME_BASE=debian:bookworm-slim

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY . .
# The caches stay with the builder, so that a changed line does not build every dependency again.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin ferrogw \
    && install -D target/release/ferrogw /image/bin/ferrogw \
    && install -D LICENSE /image/licenses/LICENSE \
    && install -D src/catalog/NOTICE /image/licenses/NOTICE \
    && install -D /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && mkdir /app

FROM ${RUNTIME_BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="ferrogw" \
    org.opencontainers.image.description="An AI gateway: one OpenAI-compatible API in front of many LLM providers" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"
COPY --from=build /image/ /
# Relative paths of the configuration land here. The user is numeric, so that runAsNonRoot holds without runAsUser.
COPY --from=build --chown=10001:10001 /app /app
WORKDIR /app
USER 10001:10001
# Without MASTER_KEY the gateway listens on loopback, which nobody outside the container reaches: listening everywhere
# makes it refuse to start instead, with the line to add.
ENV FERROGW_HOST=:: \
    PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/bin/ferrogw", "healthcheck"]
ENTRYPOINT ["/bin/ferrogw"]
