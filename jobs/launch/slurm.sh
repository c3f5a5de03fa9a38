#!/bin/bash
# A sweep on Slurm: one Ray cluster on all nodes of the allocation, which ends with the allocation.
#
#   ray get-auth-token --generate      # once; ~/.ray/auth_token on the shared home
#   sbatch jobs/launch/slurm.sh jobs/paper/more-data.yaml /shared/runs/paper
#
# If the job runs out of time or is preempted, submit the same line again; it continues from the store.
#SBATCH --job-name=sweeper
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail

JOB=$1 STORE=$2
# sed reads all names; head would end after the first, and scontrol and this script with it, of SIGPIPE.
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)

# Without a token, anyone who can reach a port of a node can run code as you. (--exclusive keeps other jobs off the
# nodes, so Ray's fixed port is free; it doesn't protect from the network.)
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300

srun ray symmetric-run --address "$HEAD:6379" --min-nodes "$SLURM_JOB_NUM_NODES" --disable-usage-stats -- \
    sweeper run "$JOB" --wait --store "$STORE" engine.address=auto
