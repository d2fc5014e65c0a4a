/** Writes the published JSON Schema of the report. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { reportSchema } from '../src/report/schema.ts'

await writeFile(
  join(import.meta.dirname, '../report.schema.json'),
  `${JSON.stringify(z.toJSONSchema(reportSchema), null, 2)}\n`
)
