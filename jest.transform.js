import { stripTypeScriptTypes } from 'node:module'

/** Tests run as Node runs the scripts: without their types, which `tsc` checks once. */
export default {
  process: (source) => ({ code: stripTypeScriptTypes(source) })
}
