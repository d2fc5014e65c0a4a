// Preloaded into the bundle: writes its peak memory in KiB to PEAK_FILE.
import { writeFileSync } from 'node:fs'
import process from 'node:process'

process.on('exit', () => {
  writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS))
})
