/** The version of this software, as its package says: beside the sources, or in the folder that it was built or installed into. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Sources and a Debian package have it one folder up, what `npm run build` makes two. */
const PLACES = ['../package.json', '../../package.json']

export function readVersion(): string {
  for (const place of PLACES) {
    const file = fileURLToPath(new URL(place, import.meta.url))
    if (!existsSync(file)) continue
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly name?: string
      readonly version?: string
    }
    if (name === 'tieline' && version !== undefined) return version
  }
  throw new Error('no package.json of tieline is beside the program')
}
