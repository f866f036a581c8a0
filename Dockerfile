# syntax=docker/dockerfile:1
# One static binary with CA certificates and nothing else: no shell, no package manager, no root.

FROM --platform=$BUILDPLATFORM golang:1.27.3 AS build
ARG TARGETOS
ARG TARGETARCH
# The context has no version control: docker build --build-arg VERSION=$(git describe --tags --always --dirty).
# No test builds the image.
ARG VERSION
ENV GOTOOLCHAIN=go1.27.3 CGO_ENABLED=0 GOCACHE=/cache/build GOMODCACHE=/cache/mod
WORKDIR /src
# The modules change less often than the code, so that they keep a layer of their own.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/cache/mod go mod download
COPY . .
RUN --mount=type=cache,target=/cache/mod --mount=type=cache,target=/cache/build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X github.com/consoleql/consoleql/internal/buildinfo.version=$VERSION" -o /out/consoleql ./cmd/server

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/consoleql /consoleql
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
# Inside a container the loopback addresses of the defaults would be reachable by nobody.
ENV CONSOLEQL_LISTEN=0.0.0.0:8080 \
    CONSOLEQL_ADMIN_LISTEN=0.0.0.0:9090
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/consoleql", "healthcheck"]
ENTRYPOINT ["/consoleql"]
