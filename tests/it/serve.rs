//! `serve` as its callers see it, with its API server, kubelet and registry in this process: what is answered, what is on
//! disk, in the registry and gone from the cluster, also when it dies in the middle.

mod archive;
mod cluster;
mod kubelet;
mod registry;
mod site;

mod answers;
mod restarts;
mod rights;
mod sealing;
mod waiting;
