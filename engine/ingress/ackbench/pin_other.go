//go:build !linux

package main

func cores() []int { return nil }

func pin(int) error { return nil }
