/** The page where `tieline run` looks for it in a checkout, for tests of the program as a person starts it. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { PAGE_FILES } from '../../../agent/web/page-files.ts'
import { buildPage } from '../../../hw/image/build.ts'

const BUILT = fileURLToPath(new URL('../../../dist/agent/web/page', import.meta.url))

/** Builds it unless `npm run build` has; whole or not at all, since other tests may do the same at the same time. */
export async function ensureBuiltPage(): Promise<void> {
  if (existsSync(`${BUILT}/page.js`)) return
  const files = await buildPage(true)
  const above = BUILT.slice(0, BUILT.lastIndexOf('/'))
  mkdirSync(above, { recursive: true })
  const made = mkdtempSync(`${above}/page-`)
  for (const [n, { file }] of PAGE_FILES.entries()) writeFileSync(`${made}/${file}`, files[n]!.body)
  try {
    renameSync(made, BUILT)
  } catch {
    // Another was first.
    rmSync(made, { recursive: true })
  }
}
