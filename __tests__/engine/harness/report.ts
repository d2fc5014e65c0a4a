import { expect } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import type { Resource } from '../../../src/report/schema.ts'

/** Shortens a reference as Docker does; Podman always includes the registry or `localhost`. */
export function familiar(reference: string): string {
  return reference.replace(/^(?:docker\.io\/(?:library\/)?|localhost\/)/, '')
}

/** Finds the only resource in a report with the given name, ID or reference. */
export function resource(step: Step, name: string): Resource {
  const found = step.report?.resources
    .map((one) => ({
      ...one,
      name: familiar(one.name),
      ...(one.references && { references: one.references.map(familiar) }),
      ...(one.removedReferences && {
        removedReferences: one.removedReferences.map(familiar)
      })
    }))
    .filter(
      (one) =>
        one.name === name || one.id === name || one.references?.includes(name)
    )
  const [only] = found ?? []
  if (only === undefined || found?.length !== 1)
    throw new Error(
      `${found?.length ?? 'no report, so no'} resources are called ${name}`
    )
  return only
}

/** Counts the planned resources of a report by outcome. */
export function outcomes({ report }: Step): Record<string, number> {
  const planned = report?.resources.filter(({ action }) => action !== 'keep')
  const counted = Map.groupBy(planned ?? [], ({ outcome }) => outcome)
  return Object.fromEntries(
    [...counted].map(([outcome, { length }]) => [outcome, length])
  )
}

/** Expects a failed step to report the error in log and summary, without a stack trace or leftover process. */
export function expectCleanFailure(done: Step, message: RegExp): void {
  expect(done.exitCode).toBe(1)
  expect(done.stdout).toMatch(/^::error::/m)
  expect(done.stdout).toMatch(message)
  expect(done.summary).toMatch(message)
  expect(done.stdout).not.toMatch(/^\s+at .+:\d+:\d+/m)
  expect(done.processesLeft).toEqual([])
}
