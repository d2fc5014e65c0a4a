#!/usr/bin/env bash
# Makes room before every job of a self-hosted runner, if its disk is low. With enough free space, it takes half a second.
#
# Install it like job-completed.sh, in the file .env of the runner's folder:
#
#   ACTIONS_RUNNER_HOOK_JOB_STARTED=/opt/docker-reclaim/examples/job-started.sh
#   DOCKER_RECLAIM_NODE=/opt/actions-runner/externals/node24/bin/node

# Each input of action.yml is a variable: INPUT_, and its name in capitals. What is not here has its default.
inputs=(
  'INPUT_WHEN-FREE-BELOW=15%'
  'INPUT_UNTIL-FREE-ABOVE=30%'
  'INPUT_TIMEOUT=2m'
)

bundle="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../dist/index.js"

# A hook that fails fails the job, which has nothing to do with it.
env "${inputs[@]}" "${DOCKER_RECLAIM_NODE:-node}" "$bundle" ||
  echo '::warning::The clean-up before the job failed: see above.'
