import { createHash } from 'node:crypto'
import { day, image, now } from '../../__tests__/builders.ts'
import { parseRules } from '../../src/inputs/rules.ts'
import type { Image } from '../../src/model/inventory.ts'
import type { Rule } from '../../src/model/rules.ts'

/** How many rules decide something: `few` match nearly nothing, and an earlier line decides all that `shadowed` match. */
export const shapes = ['none', 'few', 'most', 'shadowed'] as const

export type Shape = (typeof shapes)[number]

export type PlanLoad = {
  images: number
  /** Of each image. */
  references: number
  rules: number
  shape: Shape
}

const perRepository = 20

/** Makes images in repositories of 20, each with that many references. */
export function makeImages(load: PlanLoad): Image[] {
  return Array.from({ length: load.images }, (_, index) => {
    const repository = Math.floor(index / perRepository)
    const name = `registry.example.com/team-${repository % 40}/app-${repository}`
    return image(idOf(index), {
      references: tags
        .slice(0, load.references)
        .map((tag) => `${name}:${tag}-${index}`),
      createdAt: now - 30 * day + index,
      bytes: 1_100,
      layers: [`base ${repository}`, `build ${index}`],
      labels: labelsOf(index)
    })
  })
}

const tags = ['build', 'dev', 'prod']

function labelsOf(index: number): Record<string, string> {
  const key = 'org.opencontainers.image'
  return {
    [`${key}.revision`]: idOf(index).slice(7, 47),
    [`${key}.source`]: 'https://git.example.com/acme/app',
    [`${key}.title`]: `app ${index}`,
    stage: `stage-${index % 200}`
  }
}

function idOf(index: number): string {
  const hash = createHash('sha256').update(String(index)).digest('hex')
  return `sha256:${hash}`
}

/** Makes rules of all forms. */
export function makeRules({ rules, shape }: PlanLoad): Rule[] {
  if (shape === 'none') return []
  const lines = Array.from({ length: rules }, (_, index) => {
    const form = forms[index % forms.length] ?? forms[0]
    const number = shape === 'few' ? index + 1_000_000 : index
    return `${form(number)} until=${index}h`
  })
  if (shape === 'shadowed') lines[0] = '** until=0s keep-last=2'
  if (shape === 'most') lines[rules - 1] = '**:prod-* until=1h keep-last=1'
  return parseRules(lines.join('\n'), now).rules
}

const forms: readonly [
  (index: number) => string,
  ...((index: number) => string)[]
] = [
  (index) => `**:prod-${index}*`,
  (index) => `registry.example.com/team-${index}/**`,
  (index) => `**/*-${index}`,
  (index) => `label stage=stage-${index}*`,
  (index) => `label *.title=*${index}`,
  (index) => `container ci-${index}-*`,
  (index) => idOf(index).slice(7, 19),
  (index) => `**/team-*/app-${index}*:*-${index}`,
  (index) => `*.example.com/*/app-?${index}:dev-*`,
  (index) => `registry.example.com/team-${index}/app-${index}:build-*`
]
