module conformance-go

go 1.24

require signalbox.internal/signalbox v0.1.0

replace signalbox.internal/signalbox => ../../../sdk/go
