// Preloaded into the bundle: writes down the most memory that it had, in KiB, as getrusage tells.
import { writeFileSync } from 'node:fs'
import process from 'node:process'

process.on('exit', () => {
  writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS))
})
