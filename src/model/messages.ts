/** A text of the table below, for the log, the summary and the annotations of the step. */
export type Message = { text: string }

/** What docs/messages.md says of a message. `shape` is its text with placeholders. */
export type Explained = {
  kind: 'error' | 'warning'
  shape: string
  why: string
  fix: string
}

type Texts<Values extends string[]> = {
  text: (...values: Values) => string
  /** Placeholders for the page. */
  shape: Values
  why: string
  fix: string
}

function define<Values extends string[]>(
  kind: Explained['kind'],
  { text, shape, why, fix }: Texts<Values>
) {
  const make = (...values: Values): Message => ({ text: text(...values) })
  const explained: Explained = { kind, shape: text(...shape), why, fix }
  return Object.assign(make, { explained })
}

const pullRequestsPermission =
  'Give the job "permissions: pull-requests: read", and set github-token to a token with that permission.'

/** Every error that fails the step, and every warning. */
export const messages = {
  invalidInput: define('error', {
    text: (problems: string) =>
      `Invalid input. Nothing was inspected or removed.\n${problems}`,
    shape: ['INPUT: got "…"; expected ….'],
    why: 'One or more inputs have a value that the step cannot use, contradict each other, or have a misspelled name. The message names all of them.',
    fix: 'Correct the inputs that it names. The table below has what each accepts.'
  }),
  jobScopeOutsideWorkflow: define('error', {
    text: () =>
      'scope: job only works in a workflow step: the runner starts the removal at the end of the job.',
    shape: [],
    why: 'The step was started outside GitHub Actions, where nothing runs after the job.',
    fix: 'Use scope: job in a workflow, or another scope.'
  }),
  cliNotFound: define('error', {
    text: (command: string) =>
      `Docker CLI ${command} not found. Install Docker on this runner, or set the input docker to the path of its CLI.`,
    shape: ['"docker"'],
    why: 'The CLI is not on PATH of the runner’s user.',
    fix: 'Install it, or name it in the input `docker`. In a job container, the image has to have the CLI.'
  }),
  cliNotExecutable: define('error', {
    text: (command: string) =>
      `Cannot run the Docker CLI ${command}: permission denied. Make it executable, or set the input docker to another CLI.`,
    shape: ['"/opt/docker"'],
    why: 'The file that the input `docker` names is not executable for the runner’s user.',
    fix: '`chmod +x` it, or name another one.'
  }),
  cliNotStarted: define('error', {
    text: (call: string, why: string) => `Cannot start ${call}: ${why}`,
    shape: ['"docker info"', 'REASON'],
    why: 'The operating system refused to start the CLI: too many processes, no memory.',
    fix: 'Read the reason; a lower `concurrency` starts fewer processes at once.'
  }),
  cliKilled: define('error', {
    text: (call: string, signal: string) => `${call} was killed by ${signal}.`,
    shape: ['"docker image rm …"', 'SIGKILL'],
    why: 'Something outside the step killed the CLI, often the kernel when memory ran out.',
    fix: 'Look for “Out of memory” in the kernel’s log.'
  }),
  permissionDenied: define('error', {
    text: (words: string) =>
      `Permission denied on the Docker socket. Add the runner's user to the group docker and restart the runner, or run the runner as root.\n${words}`,
    shape: ['the CLI’s words'],
    why: 'The runner’s user may not open the engine’s socket.',
    fix: 'Either of the two. A new group counts after a new login, so the runner’s service has to be restarted. Docker through sudo alone is not enough: the step could not end a call that hangs.'
  }),
  engineNotReached: define('error', {
    text: (where: string, hint: string, words: string) =>
      `Cannot reach a Docker engine${where}. ${hint}\n${words}`,
    shape: [' (DOCKER_HOST is "tcp://build:2376")', 'HINT', 'the CLI’s words'],
    why: 'Nothing answers where the CLI looks for the engine: it is stopped, elsewhere, or refuses the connection.',
    fix: 'Follow the hint; compare with `docker info` in a step before.'
  }),
  noAnswer: define('error', {
    text: (call: string, seconds: string) =>
      `Docker did not answer: ${call} was stopped after ${seconds} s. Check whether the engine is overloaded or stuck.`,
    shape: ['"docker image ls"', '300'],
    why: 'The engine accepted the call and did not finish it in time.',
    fix: 'Look at the engine’s log and at the load of its disk; restart it if it is stuck.'
  }),
  noAnswerInTime: define('error', {
    text: (call: string) =>
      `Docker did not answer: ${call} was stopped when the timeout of the step was reached. If the engine is only slow, raise the input timeout.`,
    shape: ['"docker image ls"'],
    why: 'The step’s `timeout` was reached while the engine was working.',
    fix: 'Raise `timeout`, or look for what keeps the engine busy.'
  }),
  outputTooLarge: define('error', {
    text: (call: string) => `${call} printed more output than can be read.`,
    shape: ['"docker container inspect …"'],
    why: 'The engine’s answer is too large even for a single resource.',
    fix: 'Find the resource with labels or settings of many megabytes and remove it by hand.'
  }),
  outputUnreadable: define('error', {
    text: (call: string, why: string) =>
      `Cannot read the output of docker ${call}: ${why}`,
    shape: ['info', 'REASON'],
    why: 'The CLI or the engine printed something that this version does not know.',
    fix: 'Report it as a bug with the versions of both. Nothing is removed on a guess.'
  }),
  answerIncomplete: define('error', {
    text: (type: string) =>
      `docker ${type} inspect returned other ${type}s than requested, or fewer.`,
    shape: ['image'],
    why: 'The engine left out a resource without an error, or the CLI is a stand-in for another program.',
    fix: 'Run the step again; if it stays, report it as a bug.'
  }),
  commandFailed: define('error', {
    text: (call: string, exitCode: string, words: string) =>
      `docker ${call} failed with exit code ${exitCode}: ${words}`,
    shape: ['image ls', '1', 'the engine’s words'],
    why: 'The engine refused a call that the step needs.',
    fix: 'Read the engine’s words; run the same command by hand.'
  }),
  engineError: define('error', {
    text: (words: string) => words,
    shape: ['the engine’s words'],
    why: '`docker info` reports errors of the engine in place of an answer.',
    fix: 'Read the engine’s words and its log.'
  }),
  cancelled: define('error', {
    text: () => 'The run was cancelled.',
    shape: [],
    why: 'The job was cancelled before there was a plan. Nothing was removed.',
    fix: 'None needed.'
  }),
  cancelledAfterPlan: define('error', {
    text: () =>
      'The run was cancelled. The report shows what was done until then.',
    shape: [],
    why: 'The job was cancelled during the removal. What was removed is in the report.',
    fix: 'None needed; the next run goes on.'
  }),
  engineFailed: define('error', {
    text: (error: string) => `The engine failed during the removal: ${error}`,
    shape: ['ERROR'],
    why: 'The engine stopped, or stopped answering, after removals had begun.',
    fix: 'Look at the engine’s log. The report says what was removed until then.'
  }),
  freeSpaceUnreadable: define('error', {
    text: (why: string) =>
      `Nothing was removed: cannot read the free space of the engine's disks, which when-free-below and until-free-above require: ${why}.`,
    shape: ['the engine runs on another host'],
    why: 'The step has to run on the engine’s host, outside a container, to read its disks.',
    fix: 'Run the step there, or remove both inputs.'
  }),
  tooManyRemovals: define('error', {
    text: (plans: string, limit: string) =>
      `Nothing was removed: the plan would change ${plans}, and max-removals is ${limit}. The report shows the whole plan.`,
    shape: ['412 of 500 images', '20%'],
    why: 'The plan is larger than the input `max-removals` allows: a pattern that matches too much, a clock that is wrong, or a first run.',
    fix: 'Read the plan in the summary. If it is right, raise `max-removals` for one run.'
  }),
  removalsFailed: define('error', {
    text: (count: string, first: string) =>
      `${count} failed. The first: ${first}`,
    shape: ['2 planned removals', 'image app:1: the engine’s words'],
    why: 'The engine refused removals for a reason other than use.',
    fix: 'The summary lists each with the engine’s words.'
  }),
  tokenMissing: define('error', {
    text: () =>
      `The input github-token is not a token: it has characters that no token has. ${pullRequestsPermission}`,
    shape: [],
    why: 'Scope closed-pull-requests asks GitHub, and github-token has blanks, line breaks or other characters that no token has.',
    fix: 'Check the secret: it may have been saved with more than the token.'
  }),
  tokenRefused: define('error', {
    text: (words: string) =>
      `GitHub does not let this job read its pull requests. ${pullRequestsPermission}\n${words}`,
    shape: ['GitHub’s words'],
    why: 'The token is invalid or lacks the permission.',
    fix: 'As the message says.'
  }),
  pullRequestsUnknown: define('warning', {
    text: (which: string, why: string) =>
      `GitHub did not report the state of pull request ${which}; everything that belongs to them is kept: ${why}`,
    shape: ['12 and 3 more', 'REASON'],
    why: 'A query failed or the time was too short.',
    fix: 'The next run asks again.'
  }),
  memoryUnusable: define('warning', {
    text: (why: string) =>
      `Cannot use the memory of earlier runs (state-dir): ${why}. Resources without a date of their own may be kept longer.`,
    shape: ['REASON'],
    why: 'A file in `state-dir` cannot be read or written, or is broken.',
    fix: 'Make the folder writable for the runner’s user; delete the file that it names.'
  }),
  nothingAfterJob: define('warning', {
    text: (why: string) => `Nothing will be removed after this job: ${why}`,
    shape: ['REASON'],
    why: 'Before a job with scope job it is already certain that its resources cannot be told from those of others.',
    fix: 'One runner per host, outside a container, with the engine on the same host.'
  }),
  nothingRemovedAfterJob: define('warning', {
    text: (why: string) => `Nothing was removed after this job: ${why}`,
    shape: ['REASON'],
    why: 'After a job with scope job, its resources cannot be told from those of others.',
    fix: 'One runner per host, outside a container, with the engine on the same host.'
  }),
  volumesNotListed: define('warning', {
    text: (limit: string) =>
      `Volumes are missing from this report: docker volume ls took longer than ${limit}; a volume plugin may not be answering. No volume would have been removed (include-volumes: false).`,
    shape: ['5 s'],
    why: 'A volume plugin hangs, and no input includes volumes.',
    fix: 'Remove or repair the plugin (`docker plugin ls`).'
  }),
  patternUnmatched: define('warning', {
    text: (input: string, pattern: string, hint: string) =>
      `${input}: ${pattern} matches nothing on this engine. ${hint}`,
    shape: [
      'protected-images',
      'nod:*',
      'Did you mean node:22, which is about to be removed?'
    ],
    why: 'A pattern that protects nothing may be a typo.',
    fix: 'Correct or remove the pattern. In a dry run or a cancelled run nothing is lost yet.'
  }),
  ruleWithoutEffect: define('warning', {
    text: (rule: string, lines: string) =>
      `rules: ${rule} decides nothing: everything that it matches is decided by ${lines}.`,
    shape: ['line 4 (**:dev-*)', 'lines 1, 2'],
    why: 'The first rule that matches decides, and earlier lines match all that this one does.',
    fix: 'Move the line up, or remove it.'
  }),
  resourceUnreadable: define('warning', {
    text: (resource: string, detail: string) => `Kept ${resource}: ${detail}`,
    shape: ['image app:1', 'cannot be inspected'],
    why: 'The engine lists the resource and cannot inspect it, for example after a full disk.',
    fix: 'Remove it with the command in the message.'
  }),
  timeoutReached: define('warning', {
    text: (timeout: string, count: string) =>
      `The timeout of ${timeout} was reached: ${count} not done.`,
    shape: ['15m', '12 planned removals'],
    why: 'The step stops cleanly when its time is up.',
    fix: 'Raise `timeout`, or run the step more often.'
  }),
  nothingOnDisk: define('warning', {
    text: (path: string, free: string) =>
      `The disk of ${path} is low, ${free}, and nothing that may be removed is on it.`,
    shape: ['/var/lib/containerd', '4 % (1.2 GB) free'],
    why: 'The images or the other data of the engine lie on a disk of their own, and no input lets any of it go.',
    fix: 'Change the inputs that hold most (see the summary), or find out what else fills the disk.'
  }),
  targetNotReached: define('warning', {
    text: (target: string, free: string, holders: string) =>
      `until-free-above: ${target} was not reached: ${free}. ${holders}`,
    shape: [
      '30%',
      '24 % (31 GB) free on /var/lib/docker',
      'keep-last: 3 holds 12 GB; until: 24h holds 8 GB.'
    ],
    why: 'Everything that may be removed is gone, and still less is free than the target.',
    fix: 'Change the inputs that it names, or find out what else fills the disk.'
  }),
  cacheKept: define('warning', {
    text: (detail: string) => `The build cache was not pruned: ${detail}`,
    shape: ['DETAIL'],
    why: 'A buildx builder has the name of the Docker context, or `pruneFilters` in Docker’s config.json contradict `until`.',
    fix: 'Rename that builder, or remove `pruneFilters` from config.json.'
  }),
  reportNotWritten: define('warning', {
    text: (why: string) => `Cannot write the report: ${why}`,
    shape: ['REASON'],
    why: 'The disk is full, or the path of `report-file` is not writable.',
    fix: 'The log has the whole report in the group “Report”.'
  }),
  summaryNotWritten: define('warning', {
    text: (why: string) => `Cannot write the job summary: ${why}`,
    shape: ['REASON'],
    why: 'The disk of the runner’s own files is full.',
    fix: 'The log has the summary.'
  }),
  outputsNotWritten: define('warning', {
    text: (why: string) => `Cannot write the outputs: ${why}`,
    shape: ['REASON'],
    why: 'The disk of the runner’s own files is full.',
    fix: 'The log has the outputs. Later steps see none.'
  }),
  stateNotSaved: define('warning', {
    text: (why: string) =>
      `Cannot save the state of this step: ${why}. Its post step may run the same clean-up once more.`,
    shape: ['REASON'],
    why: 'The disk of the runner’s own files is full.',
    fix: 'Free space for the runner’s own files. A second clean-up applies the same inputs to what is there at the end of the job.'
  })
}
