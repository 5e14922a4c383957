// Command cri asks a node's container runtime, so that the tests see what runs there while the API server is away.
//
//	cri SOCKET list                 every sandbox and container, with labels and annotations, as JSON
//	cri SOCKET exec ID COMMAND...   runs a command in a container; its output and exit code are passed on
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	deadline   = 10 * time.Second
	maxMessage = 16 << 20 // what the kubelet accepts too
)

func main() {
	if len(os.Args) < 3 {
		fail(2, fmt.Errorf("usage: cri SOCKET list | cri SOCKET exec ID COMMAND..."))
	}
	conn, err := grpc.NewClient("unix://"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		fail(1, err)
	}
	client := runtime.NewRuntimeServiceClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	switch args := os.Args[3:]; {
	case os.Args[2] == "list" && len(args) == 0:
		list(ctx, client)
	case os.Args[2] == "exec" && len(args) > 1:
		exec(ctx, client, args[0], args[1:])
	default:
		fail(2, fmt.Errorf("cri: unknown command %q", os.Args[2:]))
	}
}

func list(ctx context.Context, client runtime.RuntimeServiceClient) {
	sandboxes, err := client.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	if err != nil {
		fail(1, fmt.Errorf("listing sandboxes: %w", err))
	}
	containers, err := client.ListContainers(ctx, &runtime.ListContainersRequest{})
	if err != nil {
		fail(1, fmt.Errorf("listing containers: %w", err))
	}
	answer := map[string]any{"sandboxes": sandboxes.Items, "containers": containers.Containers}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fail(1, err)
	}
}

func exec(ctx context.Context, client runtime.RuntimeServiceClient, id string, command []string) {
	answer, err := client.ExecSync(ctx, &runtime.ExecSyncRequest{ContainerId: id, Cmd: command, Timeout: 5})
	if err != nil {
		fail(1, fmt.Errorf("running %q in %s: %w", command, id, err))
	}
	os.Stdout.Write(answer.Stdout)
	os.Stderr.Write(answer.Stderr)
	os.Exit(int(answer.ExitCode))
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(code)
}
