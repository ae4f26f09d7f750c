import { showRows } from './shown.ts'

showRows('rows-compare').run()
