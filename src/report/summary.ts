import type { InputTexts } from '../model/inputs.ts'
import { renderChanges } from './changes.ts'
import { renderDisks } from './disks.ts'
import { headline } from './headline.ts'
import { folded } from './markdown.ts'
import type { Held } from './ownBytes.ts'
import { renderPie } from './pictures.ts'
import { renderRestore } from './restore.ts'
import { renderRules } from './rules.ts'
import type { Report } from './schema.ts'
import {
  renderFailures,
  renderKept,
  renderKinds,
  renderRemoved,
  renderStopped
} from './sections.ts'
import { code } from './text.ts'
import { renderWhy } from './why.ts'

export type SummaryFacts = {
  report: Report
  inputs: InputTexts
  held: readonly Held[]
  heldByInput: readonly Held[]
  warnings: readonly string[]
  /** Limits of this run's figures that need no warning. */
  notes: readonly string[]
  /** The note about what is never removed on Podman; undefined for Docker. */
  podman: string | undefined
  /** Why the step fails, if it does. */
  error: string | undefined
}

/** The job summary in GitHub's Markdown, always below 1 MiB: the answer first, the long lists folded at the end. */
export function renderSummary(facts: SummaryFacts): string {
  const { report, inputs, held, heldByInput, warnings, notes, podman, error } =
    facts
  const { engine } = report
  return fit([
    `## ${headline(report)}`,
    error === undefined ? '' : renderError(error),
    renderFailures(report),
    renderWarnings(warnings),
    renderDisks(report),
    renderKinds(report),
    renderChanges(report, inputs, heldByInput),
    renderRules(report),
    renderPie(report),
    renderStopped(report),
    renderRemoved(report),
    renderWhy(report, inputs, held),
    renderKept(report),
    renderRestore(
      report,
      podman !== undefined || engine.store === 'containerd'
    ),
    renderNotes([podman ?? [], notes].flat()),
    `Docker Reclaim on engine ${code(engine.name)}, ${podman === undefined ? 'Docker' : 'Podman'} ${code(engine.version)}, image store ${code(engine.store)}.`
  ])
}

/** The summary of a run that may not remove anything. */
export function renderNothing(why: string): string {
  return fit([
    '## Nothing was removed.',
    renderWarnings([why]),
    'Docker Reclaim.'
  ])
}

/** The summary of a run that could not inspect the engine. */
export function renderFailure(error: string): string {
  return fit(['## Nothing was removed.', renderError(error), 'Docker Reclaim.'])
}

function renderError(error: string): string {
  const lines = error.split('\n').filter((line) => line.trim() !== '')
  const shown = lines.slice(0, 50).map((line) => `> ${code(line, 2_000)}`)
  return `> [!CAUTION]\n${shown.join('\\\n')}`
}

function renderWarnings(warnings: readonly string[]): string {
  if (warnings.length === 0) return ''
  const shown = warnings.slice(0, 50).map((one) => `> - ${code(one, 500)}`)
  const more = warnings.length - shown.length
  if (more > 0) shown.push(`> - … and ${more} more`)
  return ['> [!WARNING]', ...shown].join('\n')
}

function renderNotes(notes: readonly string[]): string {
  if (notes.length === 0) return ''
  return folded(
    'Notes',
    notes.map((note) => `- ${code(note, 1_000)}`).join('\n')
  )
}

/** GitHub's limit is 1 MiB a step; the rest is for other tools' summaries of the same step. */
const longestSummary = 1_000_000

/** Joins the sections that fit; a note says so if some are left out. */
function fit(sections: readonly string[]): string {
  const note = 'This summary was cut. The report file has everything.'
  let left = longestSummary - note.length - 2
  const filled = sections.filter((section) => section !== '')
  const fitting = filled.filter((section) => {
    const size = Buffer.byteLength(section) + 2
    const fits = size <= left
    if (fits) left -= size
    return fits
  })
  if (fitting.length < filled.length) fitting.push(note)
  return `${fitting.join('\n\n')}\n`
}
