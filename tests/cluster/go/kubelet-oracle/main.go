// Command kubelet-oracle says what the kubelet makes of static pods: it has the kubelet's own source of them, with its defaults, its
// validation and its rule on API objects, read manifests as it would read its --pod-manifest-path.
//
//	kubelet-oracle NODE DIRECTORY...   one JSON object for each file: {"file": PATH, "pod": NAME} where the kubelet takes it,
//	                                   {"file": PATH, "refused": REASON} in the kubelet's words where it does not
//
// It is compiled once for each version of Kubernetes (go and go-oldest), whose source of static pods differs in its arguments alone.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/go-logr/logr/funcr"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/capabilities"
	"k8s.io/kubernetes/pkg/kubelet/config"
)

const (
	// The kubelet reads the whole directory at once, and again after this time.
	forever = time.Hour
	// Ten thousand files take it a few seconds.
	patience = 5 * time.Minute
)

// verdict is what the kubelet makes of a file.
type verdict struct {
	File    string `json:"file"`
	Pod     string `json:"pod,omitempty"`
	Refused string `json:"refused,omitempty"`
}

func main() {
	if len(os.Args) < 3 {
		fail(2, fmt.Errorf("usage: kubelet-oracle NODE DIRECTORY..."))
	}
	// As the kubelet does it: privileged containers are its administrator's business.
	capabilities.Setup(true, 0)
	refusals := &refusals{of: map[string]string{}}
	klog.SetLogger(refusals.logger())
	out := json.NewEncoder(os.Stdout)
	for _, directory := range os.Args[2:] {
		if err := judge(os.Args[1], directory, refusals, out); err != nil {
			fail(1, fmt.Errorf("%s: %w", directory, err))
		}
	}
}

// judge has the kubelet read a directory.
func judge(node, directory string, refusals *refusals, out *json.Encoder) error {
	files, err := filepath.Glob(filepath.Join(directory, "[^.]*"))
	if err != nil {
		return err
	}
	pods, err := read(node, directory)
	if err != nil {
		return err
	}
	taken := 0
	for _, file := range files {
		verdict := verdict{File: file, Refused: refusals.of[file]}
		if verdict.Refused == "" {
			name, err := twin(node, file)
			if err != nil {
				return err
			}
			if !pods[name] {
				return fmt.Errorf("the kubelet neither takes %s from %s nor says why not", name, file)
			}
			verdict.Pod = name
			taken++
		}
		if err := out.Encode(verdict); err != nil {
			return err
		}
	}
	if taken != len(pods) {
		return fmt.Errorf("the kubelet takes %d pods, and refuses all but %d files; no two may have one name", len(pods), taken)
	}
	return nil
}

// twin is the name that the kubelet gives to the pod of a file.
func twin(node, file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var pod struct {
		Metadata struct{ Name, Namespace string }
	}
	if err := yaml.Unmarshal(data, &pod); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return pod.Metadata.Namespace + "/" + pod.Metadata.Name + "-" + node, nil
}

// read returns the names of the pods that the kubelet takes from a directory.
func read(node, directory string) (map[string]bool, error) {
	source := reflect.ValueOf(config.NewSourceFile)
	kind := source.Type()
	// A channel of a type that the package keeps to itself.
	updates := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, kind.In(kind.NumIn()-1).Elem()), 1)
	arguments := []reflect.Value{reflect.ValueOf(directory), reflect.ValueOf(types.NodeName(node)), reflect.ValueOf(forever), updates}
	if kind.NumIn() == len(arguments)+1 {
		arguments = append([]reflect.Value{reflect.ValueOf(klog.Background())}, arguments...)
	}
	source.Call(arguments)
	chosen, update, _ := reflect.Select([]reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: updates},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(time.After(patience))},
	})
	if chosen != 0 {
		return nil, fmt.Errorf("the kubelet said nothing for %s", patience)
	}
	if update.Kind() == reflect.Interface {
		update = update.Elem()
	}
	pods := map[string]bool{}
	for _, pod := range update.FieldByName("Pods").Interface().([]*v1.Pod) {
		pods[pod.Namespace+"/"+pod.Name] = true
	}
	return pods, nil
}

// refusals are the reasons that the kubelet has logged, by path.
type refusals struct {
	sync.Mutex
	of map[string]string
}

// logger hears what the kubelet says.
func (r *refusals) logger() klog.Logger {
	return funcr.NewJSON(r.heard, funcr.Options{})
}

func (r *refusals) heard(line string) {
	var said struct{ Path, Error string }
	if json.Unmarshal([]byte(line), &said) == nil && said.Path != "" && said.Error != "" {
		r.Lock()
		defer r.Unlock()
		r.of[said.Path] = said.Error
		return
	}
	fmt.Fprintln(os.Stderr, line)
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(code)
}
