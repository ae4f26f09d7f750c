/** The page for the bench: what was built beside it when it runs from dist/, else bundled now. */
import { type PageFile, readPageFiles } from '../../agent/web/page-files.ts'

export async function pageFiles(): Promise<readonly PageFile[]> {
  const built = await readPageFiles(new URL('../../agent/web/page/', import.meta.url).pathname)
  if (built.ok) return built.value
  // Only now: a shipped gateway has no esbuild.
  const { buildPage } = await import('./build.ts')
  return buildPage(false)
}
