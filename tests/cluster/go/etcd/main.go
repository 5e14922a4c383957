// Command etcd is etcd's own server, built with the rest of the cluster: Debian 12's is too old for Kubernetes of today.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
