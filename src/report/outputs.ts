import { formatSize } from '../units.ts'
import type { Report } from './schema.ts'

/** The outputs of the step, under their public names. An unknown one is empty. */
export function makeOutputs(
  { totals, pressure }: Report,
  reportFile: string
): Record<string, string> {
  return {
    'reclaimed-bytes': String(totals.reclaimedBytes),
    reclaimed: formatSize(totals.reclaimedBytes),
    'planned-bytes': String(totals.plannedBytes),
    'removed-containers': String(totals.removedContainers),
    'removed-images': String(totals.removedImages),
    'untagged-references': String(totals.untaggedReferences),
    'removed-networks': String(totals.removedNetworks),
    'removed-volumes': String(totals.removedVolumes),
    'removed-builders': String(totals.removedBuilders),
    failed: String(totals.failed),
    'free-bytes-before': String(totals.freeBytesBefore ?? ''),
    'free-bytes-after': String(totals.freeBytesAfter ?? ''),
    'report-file': reportFile,
    skipped: String(totals.skipped),
    'target-reached': String(pressure?.targetReached ?? '')
  }
}
