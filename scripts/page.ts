import { createRequire } from 'node:module'
import MarkdownIt from 'markdown-it'

const { resolve } = createRequire(import.meta.url)

/** What a page needs beside it: file names, and where those files are. */
export const assets = {
  'github-markdown.css': resolve('github-markdown-css/github-markdown.css'),
  'mermaid.min.js': resolve('mermaid/dist/mermaid.min.js')
}

const markdown = new MarkdownIt({ html: true })
const renderFence = markdown.renderer.rules.fence
markdown.renderer.rules.fence = (tokens, index, ...more) => {
  const token = tokens[index]
  return token?.info.trim() === 'mermaid'
    ? `<div class="mermaid">${markdown.utils.escapeHtml(token.content)}</div>\n`
    : (renderFence?.(tokens, index, ...more) ?? '')
}

/** A page that shows Markdown as GitHub does: with its stylesheet, its alerts and its diagrams. */
export function renderPage(title: string, text: string): string {
  const body = markdown
    .render(text)
    .replace(
      /<blockquote>\n<p>\[!(WARNING|CAUTION)\]\n?([^]*?)<\/blockquote>/g,
      (_, kind: string, rest: string) =>
        `<div class="markdown-alert markdown-alert-${kind.toLowerCase()}"><p class="markdown-alert-title">${kind}</p>\n<p>${rest}</div>`
    )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${markdown.utils.escapeHtml(title)}</title>
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
