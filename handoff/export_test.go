package handoff

// OnStep sets the function that is called before and after every action.
func (c *Config) OnStep(f func(string)) { c.step = f }
