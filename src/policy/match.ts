import picomatch from 'picomatch'

/** A label pattern of the input `protected-labels`: `key` or `key=value`, where `*` is any text. */
export type LabelPattern = { key: string; value: string | undefined }

export type Labels = Record<string, string>

/** The parts of a reference in Docker's familiar form (`docker.io/library/node:20` is repository `node`, tag `20`). */
export type Reference = {
  repository: string
  tag: string | undefined
  digest: string | undefined
}

/** Splits `repository:tag` or `repository@digest`; a port in the registry's name is no tag. */
export function parseReference(reference: string): Reference {
  const [name = '', digest] = splitAt(reference, reference.indexOf('@'))
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1)
  const [repository = '', tag] = splitAt(name, colon)
  return { repository: familiar(repository), tag, digest }
}

function splitAt(text: string, index: number): string[] {
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)]
}

function familiar(repository: string): string {
  return repository
    .replace(/^(?:index\.)?docker\.io\//, '')
    .replace(/^library\/(?=[^/]+$)/, '')
}

/**
 * What is wrong with a reference glob, or undefined. `*`, `**` (a whole path part) and `?` are known; any other
 * character that no reference has would be a pattern of another tool, and would protect nothing here.
 */
export function problemOfGlob(glob: string): string | undefined {
  const bad = /[^A-Za-z0-9._:@/*?-]/.exec(glob)
  if (bad !== null) return `it has ${JSON.stringify(bad[0])}`
  const { repository, tag, digest } = parseReference(glob)
  if (repository === '' || tag === '' || digest === '')
    return 'a part of it is empty'
  const parts = repository.split('/')
  if (parts.includes('')) return 'a part of it is empty'
  if (parts.some((part) => part.includes('**') && part !== '**'))
    return '** stands for whole parts between slashes'
  return undefined
}

/**
 * Tells whether a reference matches the glob. One without a tag means every tag and digest, and so does the tag `*`:
 * who protects `node:*` does not mean to lose an image that is pinned by its digest.
 */
export function referenceMatcher(glob: string): (reference: string) => boolean {
  const pattern = parseReference(glob)
  // `docker.io/**` means what comes from Docker Hub, which the familiar form does not say.
  const onHub = /^(?:index\.)?docker\.io\//.test(glob)
  const repository = globMatcher(pattern.repository)
  const tag = globMatcher(pattern.tag ?? '*')
  const digest =
    pattern.digest === undefined ? undefined : globMatcher(pattern.digest)
  return (reference) => {
    const parts = parseReference(reference)
    if (!repository(parts.repository)) return false
    if (onHub && hasRegistry(parts.repository)) return false
    if (digest !== undefined)
      return parts.digest !== undefined && digest(parts.digest)
    return parts.tag === undefined ? tag('') : tag(parts.tag)
  }
}

/** Docker's own rule: a first part with a dot or a port, or `localhost`, is a registry. */
function hasRegistry(repository: string): boolean {
  const [first = '', ...rest] = repository.split('/')
  return rest.length > 0 && /[.:]|^localhost$/.test(first)
}

function globMatcher(glob: string): (text: string) => boolean {
  if (glob === '*' || glob === '**')
    // Both match what is empty, too: the tag of a reference that has a digest instead.
    return (text) => glob === '**' || !text.includes('/')
  return picomatch(glob, { dot: true, strictSlashes: true, windows: false })
}

/** Reads `key` or `key=value`; undefined where the key is empty. */
export function parseLabelPattern(text: string): LabelPattern | undefined {
  const [key = '', value] = splitAt(text, text.indexOf('='))
  return key === '' ? undefined : { key, value }
}

/** Tells whether one of the labels is what the pattern names. */
export function labelMatcher(
  pattern: LabelPattern
): (labels: Labels) => boolean {
  const key = textMatcher(pattern.key)
  const value = textMatcher(pattern.value ?? '*')
  return (labels) =>
    Object.entries(labels).some(([name, text]) => key(name) && value(text))
}

function textMatcher(pattern: string): (text: string) => boolean {
  const literals = pattern
    .split('*')
    .map((literal) => literal.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
  const expression = new RegExp(`^${literals.join('[^]*')}$`)
  return (text) => expression.test(text)
}
