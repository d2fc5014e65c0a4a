import { createRequire } from 'node:module'
import { Marked } from 'marked'

const { resolve } = createRequire(import.meta.url)

/** Files that a page loads, by name. */
export const assets = {
  'github-markdown.css': resolve('github-markdown-css/github-markdown.css'),
  'mermaid.min.js': resolve('mermaid/dist/mermaid.min.js')
}

const markdown = new Marked({
  gfm: true,
  renderer: {
    code: ({ lang, text }) =>
      lang === 'mermaid' && `<div class="mermaid">${escape(text)}</div>\n`,
    blockquote({ tokens }) {
      const body = this.parser.parse(tokens)
      const [mark, kind] = /^<p>\[!(WARNING|CAUTION)\]\s*/.exec(body) ?? []
      return (
        mark !== undefined &&
        kind !== undefined &&
        `<div class="markdown-alert markdown-alert-${kind.toLowerCase()}"><p class="markdown-alert-title">${kind}</p>\n<p>${body.slice(mark.length)}</div>\n`
      )
    }
  }
})

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

/** Renders Markdown as GitHub does, with its stylesheet, alerts and diagrams. */
export async function renderPage(title: string, text: string): Promise<string> {
  const body = await markdown.parse(text)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<link rel="stylesheet" href="github-markdown.css">
<style>
  body { margin: 0; background: #fff }
  @media (prefers-color-scheme: dark) { body { background: #0d1117 } }
  .markdown-body { box-sizing: border-box; max-width: 1012px; margin: 0 auto; padding: 16px }
  .mermaid { margin-bottom: 16px }
</style>
<article class="markdown-body">
${body}
</article>
<script src="mermaid.min.js"></script>
<script>
  const dark = matchMedia('(prefers-color-scheme: dark)').matches
  mermaid.initialize({ startOnLoad: false, theme: dark ? 'dark' : 'default' })
  mermaid.run().then(
    () => { document.body.dataset.ready = 'yes' },
    (error) => { document.body.dataset.ready = String(error?.str ?? error) }
  )
</script>
</html>
`
}
